import { DynamoError } from '../base/errors.ts';
import type { HostTransport } from './host-transport.ts';
import { LOCK_FOLDER, LONG_SOCKET_DIGITS, LONG_SOCKETS } from './shared-places.ts';

/** What to look for on a host after a deployment was stopped there. */
export interface LeftoverWishes {
  deployment: string;
  /** Its state folder there; may begin with `~/`. */
  dir: string;
  /** Sockets, relative to `dir`, that live elsewhere when their path is too long. */
  sockets: readonly string[];
  /** Folder of the discovery records there; undefined where none are kept in files. */
  records: string | undefined;
  /** Parents of the folder of GPU locks. */
  lockDirs: readonly string[];
}

/**
 * Processes that carry the deployment's folder in their environment, sockets, locks that are held, and records in files. One line a
 * finding. Needs grep with `-z`, which is GNU's; a host without glibc cannot run dynamo anyway. A lock counts while somebody holds it.
 */
const SCRIPT = `
LC_ALL=C; export LC_ALL
home() { case $1 in "~/"*) printf '%s/%s' "\${HOME%/}" "\${1#"~/"}" ;; *) printf '%s' "$1" ;; esac; }
dir=$(home "$1"); name=$2; records=$3; sockets=$4; locks=$5
[ -z "$records" ] || records=$(home "$records")
for file in $(grep -lzxF -- "DYNAMO_DEPLOYMENT_DIR=$dir" /proc/[0-9]*/environ 2>/dev/null); do
  pid=\${file#/proc/}; pid=\${pid%/environ}
  state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)
  case $state in ''|Z|X) continue ;; esac
  printf 'process %s: %s\\n' "$pid" "$(tr '\\000\\n' '  ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-120)"
done
find "$dir" -type s 2>/dev/null | sed 's/^/socket /'
for socket in $sockets; do
  short=${LONG_SOCKETS}$(id -u)/$(printf '%s' "$dir/$socket" | sha256sum | cut -c1-${LONG_SOCKET_DIGITS}).sock
  [ ! -S "$short" ] || printf 'socket %s\\n' "$short"
done
if command -v flock >/dev/null; then
  find "$dir" -name '*.lock' -type f 2>/dev/null | while IFS= read -r file; do
    flock -n "$file" true || printf 'lock %s\\n' "$file"
  done
  for parent in $locks; do
    for file in "$parent"/${LOCK_FOLDER}/*; do
      [ -f "$file" ] && head -c 200 "$file" 2>/dev/null | grep -qF -- "$name (" || continue
      flock -n "$file" true 2>/dev/null || printf 'lock %s: %s\\n' "$file" "$(head -n 1 "$file")"
    done
  done
fi
[ -z "$records" ] || find "$records" -name '*.json' 2>/dev/null | sed 's/^/record /'
echo end
`;

/** What a deployment that is stopped has left on a host; empty for nothing. Throws `HOST_UNREACHABLE`. */
export async function findLeftovers(transport: HostTransport, wishes: LeftoverWishes): Promise<string[]> {
  const { dir, deployment, records = '', sockets, lockDirs } = wishes;
  const argv = ['sh', '-s', '--', dir, deployment, records, sockets.join(' '), lockDirs.join(' ')];
  const { stdout, stderr, code } = await transport.exec(argv, { stdin: SCRIPT, timeoutMs: 60_000 });
  const lines = stdout.toString('utf8').split('\n').filter(Boolean);
  if (lines.at(-1) === 'end') return lines.slice(0, -1);
  throw new DynamoError('HOST_UNREACHABLE', `${transport.host}: looking for leftovers ended with status ${code}`, {
    details: stderr.trim().split('\n').slice(-3),
  });
}
