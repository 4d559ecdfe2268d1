# Sourced by bin/dynamo and bin/with-node with $root set: makes `$root/.runtime/node` a Node new enough,
# and `$root/node_modules` current. POSIX sh, no Node needed until the decision is made.
# A finished step leaves a stamp, so the usual call costs two `test -nt` and no process.

need_major=22
need_minor=19

dynamo_say() { printf 'dynamo: %s\n' "$*" >&2; }

dynamo_node_is_new_enough() {
  version=$("$1" -p 'process.versions.node' 2>/dev/null) || return 1
  major=${version%%.*}
  rest=${version#*.}
  minor=${rest%%.*}
  [ "$major" -gt "$need_major" ] || { [ "$major" -eq "$need_major" ] && [ "$minor" -ge "$need_minor" ]; }
}

# One installer at a time: a second first-use waits for the first instead of tearing its tree.
dynamo_lock() {
  waited=0
  until mkdir "$root/.runtime/lock" 2>/dev/null; do
    holder=$(cat "$root/.runtime/lock/pid" 2>/dev/null || echo 0)
    if [ "$holder" != 0 ] && ! kill -0 "$holder" 2>/dev/null; then rm -rf "$root/.runtime/lock"; continue; fi
    waited=$((waited + 1))
    if [ "$waited" -eq 3 ]; then dynamo_say "another process (pid $holder) is installing; waiting for it"; fi
    if [ "$waited" -gt 600 ]; then dynamo_say "gave up waiting for $root/.runtime/lock; remove it if nothing is installing"; exit 4; fi
    sleep 1
  done
  echo $$ > "$root/.runtime/lock/pid"
}
dynamo_unlock() { rm -rf "$root/.runtime/lock"; }

dynamo_ensure_node() {
  if [ -x "$root/.runtime/node" ]; then return 0; fi
  own=$(command -v node || true)
  if [ -n "$own" ] && dynamo_node_is_new_enough "$own"; then
    # process.execPath, because `node` may be the shim of a version manager
    ln -sfn "$("$own" -p process.execPath)" "$root/.runtime/node"
    return 0
  fi
  command -v npm >/dev/null || { dynamo_say "needs Node $need_major.$need_minor or newer, or npm to fetch one"; exit 4; }
  dynamo_say "this machine's Node is ${version:-missing}; fetching the pinned one once (about 50 MB)"
  rm -rf "$root/.runtime/pinned"
  mkdir -p "$root/.runtime/pinned"
  cp "$root/bin/runtime/package.json" "$root/bin/runtime/package-lock.json" "$root/.runtime/pinned/"
  # In a folder of its own, and without the npm_* variables of a surrounding `npm test`, which would redirect it.
  (cd "$root/.runtime/pinned" && env -u npm_config_prefix -u INIT_CWD npm ci --no-audit --no-fund --loglevel=error) >&2
  for candidate in "$root"/.runtime/pinned/node_modules/node-*/bin/node; do
    if [ -x "$candidate" ] && "$candidate" -e 0 2>/dev/null; then ln -sfn "$candidate" "$root/.runtime/node"; return 0; fi
  done
  dynamo_say "no pinned Node exists for this platform; install Node $need_major.$need_minor or newer and try again"
  exit 4
}

dynamo_ensure_modules() {
  if [ -e "$root/node_modules/.dynamo-installed" ] && ! [ "$root/package-lock.json" -nt "$root/node_modules/.dynamo-installed" ]; then return 0; fi
  dynamo_say "installing dependencies"
  # `install --no-save`, not `ci`: a registry mirror that lacks some platform packages of an optional dependency leaves
  # gaps in the lock file that `ci` refuses; versions and checksums still come from the lock file.
  # The pinned Node comes first on PATH, so that packages see the version they will run under.
  mkdir -p "$root/.runtime/path"
  ln -sfn "$root/.runtime/node" "$root/.runtime/path/node"
  (cd "$root" && PATH="$root/.runtime/path:$PATH" npm install --no-save --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error) >&2
  : > "$root/node_modules/.dynamo-installed"
}

dynamo_ensure() {
  if [ -x "$root/.runtime/node" ] && [ -e "$root/node_modules/.dynamo-installed" ] && ! [ "$root/package-lock.json" -nt "$root/node_modules/.dynamo-installed" ]; then return 0; fi
  mkdir -p "$root/.runtime"
  dynamo_lock
  trap dynamo_unlock EXIT
  trap 'exit 130' INT TERM
  dynamo_ensure_node
  dynamo_ensure_modules
  dynamo_unlock
  trap - EXIT INT TERM
}
