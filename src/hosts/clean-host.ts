import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import type { HostPlaces } from './host-places.ts';
import type { HostTransport } from './host-transport.ts';

/** Something of ours on a host. */
export interface HostRemains {
  kind: 'deployment' | 'kit';
  /** Name of the deployment, or version of the kit. */
  name: string;
  path: string;
  bytes: number;
  /** Why it must stay; null when it may go. */
  keep: string | null;
}

/**
 * Run as `sh -s -- survey STATE KITS` or `sh -s -- remove STATE KITS PATH…`. A deployment runs when any process of this user
 * carries its folder in its environment: agents, controllers, shims and engines all do. Removal looks again right before it
 * acts, renames first, and touches nothing outside the two folders.
 */
const SCRIPT = `
LC_ALL=C; export LC_ALL
verb=$1; state=$2; kits=$3; shift 3
running() {
  for file in /proc/[0-9]*/environ; do
    tr '\\000' '\\n' <"$file" 2>/dev/null | sed -n 's/^DYNAMO_DEPLOYMENT_DIR=//p'
  done | sort -u
}
size() { du -sk "$1" 2>/dev/null | cut -f1; }
phase() {
  if [ -r "$1/deployment.json" ]; then grep -o '"phase":"[a-z]*"' "$1/deployment.json" | tail -n 1; return; fi
  for journal in "$1"/agents/*/journal.json; do
    [ -r "$journal" ] && grep -o '"phase":"[a-z]*"' "$journal" | head -n 1 | grep -v '"idle"'
  done | head -n 1
}
survey() {
  for dir in "$state"/deployments/*; do
    [ -d "$dir" ] && [ ! -L "$dir" ] || continue
    runs=no; running | grep -qxF "$dir" && runs=yes
    printf 'deployment|%s|%s|%s|%s\\n' "$(size "$dir")" "$runs" "$(phase "$dir")" "$dir"
  done
  busy=no; [ -n "$(running)" ] && busy=yes
  for dir in "$kits"/*; do
    [ -d "$dir" ] && [ ! -L "$dir" ] || continue
    printf 'kit|%s|%s||%s\\n' "$(size "$dir")" "$busy" "$dir"
  done
  printf 'end\\n'
}
remove() {
  for dir; do
    case $dir in */../*|*/..) continue ;; esac
    case $dir in
      "$state"/deployments/?*) running | grep -qxF "$dir" && { printf 'busy|%s\\n' "$dir"; continue; } ;;
      "$kits"/?*) [ -n "$(running)" ] && { printf 'busy|%s\\n' "$dir"; continue; } ;;
      *) continue ;;
    esac
    gone=\${dir%/*}/.removed-$$-\${dir##*/}
    if mv "$dir" "$gone" && rm -rf "$gone"; then printf 'removed|%s\\n' "$dir"; else printf 'failed|%s\\n' "$dir"; fi
  done
  printf 'end\\n'
}
main() { "$verb" "$@"; }
main "$@" </dev/null
`;

/** What of ours lies on a host, and what of it may go. */
export async function surveyHost(transport: HostTransport, places: HostPlaces): Promise<HostRemains[]> {
  const lines = await run(transport, ['survey', places.stateDir, places.kitDir]);
  const found = lines.flatMap((line) => parseRemains(line) ?? []);
  // A kit is needed to take up a deployment that was interrupted.
  const interrupted = found.find((entry) => entry.kind === 'deployment' && entry.keep !== null);
  return found.map((entry) =>
    entry.kind === 'kit' && entry.keep === null && interrupted
      ? { ...entry, keep: `${interrupted.name} needs it to be stopped in order` }
      : entry,
  );
}

/** Removes what `surveyHost` said may go; looks again first. Returns the paths that are gone, and why others are not. */
export async function removeRemains(
  transport: HostTransport,
  places: HostPlaces,
  remains: readonly HostRemains[],
): Promise<{ removed: string[]; kept: { path: string; reason: string }[] }> {
  const wanted = remains.filter((entry) => entry.keep === null).map((entry) => entry.path);
  if (wanted.length === 0) return { removed: [], kept: [] };
  const lines = await run(transport, ['remove', places.stateDir, places.kitDir, ...wanted]);
  const answers = lines.map(splitFirst);
  return {
    removed: answers.flatMap(([word, file]) => (word === 'removed' ? [file] : [])),
    kept: answers.flatMap(([word, file]) => {
      if (word === 'busy') return [{ path: file, reason: 'a deployment has begun to run there' }];
      return word === 'failed' ? [{ path: file, reason: 'it could not be removed; see its permissions' }] : [];
    }),
  };
}

async function run(transport: HostTransport, args: readonly string[]): Promise<string[]> {
  const { stdout, stderr, code } = await transport.exec(['sh', '-s', '--', ...args], {
    stdin: SCRIPT,
    timeoutMs: 120_000,
  });
  const lines = stdout.toString('utf8').split('\n').filter(Boolean);
  if (lines.at(-1) !== 'end')
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `${transport.host}: looking for what is left there ended with status ${code}`,
      {
        details: stderr.trim().split('\n').slice(-5),
      },
    );
  return lines.slice(0, -1);
}

/** `deployment|KIB|yes|"phase":"committed"|/path`. */
function parseRemains(line: string): HostRemains | undefined {
  const [kind, kib, runs, phase = '', ...rest] = line.split('|');
  const file = rest.join('|');
  if ((kind !== 'deployment' && kind !== 'kit') || file === '') return undefined;
  const name = path.posix.basename(file);
  return {
    kind,
    name,
    path: file,
    bytes: Number(kib) * 1024 || 0,
    keep: reasonToKeep(kind, name, runs === 'yes', phase),
  };
}

function reasonToKeep(kind: HostRemains['kind'], name: string, runs: boolean, phase: string): string | null {
  if (kind === 'kit') return runs ? 'a deployment runs on this host' : null;
  if (runs) return `it runs; \`dynamo stop ${name}\` stops it`;
  const found = /"phase":"([a-z]+)"/.exec(phase)?.[1];
  if (found === undefined || found === 'stopped' || found === 'failed') return null;
  return `it was interrupted and never stopped (${found}); \`dynamo stop ${name}\` does that`;
}

function splitFirst(line: string): [string, string] {
  const at = line.indexOf('|');
  return [line.slice(0, at), line.slice(at + 1)];
}
