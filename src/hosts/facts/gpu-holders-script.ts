import { COMPUTE_APP, COMPUTE_APPS } from '../gpu-processes.ts';
import { LOCK_FOLDER, LOCK_PARENTS } from '../shared-places.ts';

/** What the shell functions below and the probe are made of. */
export const SHELL_HELPERS = `
section() { printf '@@%s\\n' "$1"; }
have() { command -v "$1" >/dev/null 2>&1; }
limited() { if have timeout; then timeout "$@"; else shift; "$@"; fi; }
`;

/**
 * Who has GPUs, as two sections. \`gpu-apps\`, \`uuid|pid|MiB|owner|ours|name\`: processes that compute; ours when they, or the leader of
 * their session, carry a run id (vLLM writes titles over its environment). Those that are ending are left out. \`gpu-locks\`, \`index|holder\`: locks of deployments, tried
 * for a moment in shared mode, which keeps nobody else who only looks from seeing the same.
 */
export const GPU_HOLDERS = `
has_run() { tr '\\000' '\\n' <"/proc/$1/environ" 2>/dev/null | grep -q '^DYNAMO_RUN_ID='; }
# state, parent, group, session, ... as in /proc/PID/stat after the name
stat_of() { stat=$(cat "/proc/$1/stat" 2>/dev/null); printf '%s' "\${stat##*) }"; }
session_of() { set -- $(stat_of "$1"); printf '%s' "\${4:-}"; }
# Zombies and what the kernel is taking down (PF_EXITING).
is_ending() { set -- $(stat_of "$1"); case \${1:-} in Z|X) return 0 ;; esac; [ $((\${7:-0} & 4)) -ne 0 ]; }
list_apps() {
  limited 20 nvidia-smi ${COMPUTE_APPS.join(' ')} 2>/dev/null | grep -E '${COMPUTE_APP}'
}
gpu_apps() {
  section gpu-apps
  apps=$(list_apps)
  # One that is not there has just ended, or is of another container: then it is still listed in a moment.
  for pid in $(printf '%s\n' "$apps" | cut -d, -f2); do
    [ -d "/proc/$pid" ] || { sleep 1; apps=$(list_apps); break; }
  done
  printf '%s\n' "$apps" |
    while IFS=, read -r uuid pid memory name; do
      pid=$(printf '%s' "$pid" | tr -cd 0-9)
      [ -n "$pid" ] || continue
      is_ending "$pid" && continue
      owner=$(stat -c %U "/proc/$pid" 2>/dev/null || ps -o user= -p "$pid" 2>/dev/null)
      ours=0
      if has_run "$pid" || has_run "$(session_of "$pid")"; then ours=1; fi
      printf '%s|%s|%s|%s|%s|%s\\n' "$uuid" "$pid" "$memory" "$owner" "$ours" "$name"
    done
}
gpu_locks() {
  have flock || return 0
  section gpu-locks
  locks=\${DYNAMO_LOCK_DIR:-${LOCK_PARENTS[0]}}
  [ -n "\${DYNAMO_LOCK_DIR:-}" ] || [ -d ${LOCK_PARENTS[0]} ] || locks=${LOCK_PARENTS[1]}
  for file in "$locks"/${LOCK_FOLDER}/gpu-*.lock; do
    [ -f "$file" ] && [ ! -L "$file" ] && [ -r "$file" ] || continue
    flock --nonblock --shared 9 9<"$file"
    [ "$?" -eq 1 ] || continue
    index=\${file##*/gpu-}
    printf '%s|%s\\n' "\${index%.lock}" "$(head -c 200 "$file" 2>/dev/null | head -n 1)"
  done
}
`;
