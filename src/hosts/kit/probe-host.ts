import { DynamoError } from '../../base/errors.ts';
import type { HostTransport } from '../host-transport.ts';

/** What has to be known of a host before anything is put there. */
export interface HostProbe {
  home: string;
  uid: number;
  /** As Node names it. */
  arch: string;
  platform: string;
  kitsDir: string;
  /** The kit is there, and all its checksums are right. */
  kitWhole: boolean;
  /** Those that are new enough, best first: the one that is named, the one in use, the host's own, one that was brought. */
  nodes: { path: string; version: string }[];
}

export interface ProbeWishes {
  kitId: string;
  /** `kitDir` of the hosts file; `~` is the host's home. */
  kitDir?: string | undefined;
  nodePath?: string | undefined;
}

/** Looks at a host by one command. Throws `HOST_UNREACHABLE` where dynamo cannot run at all. */
export async function probeHost(transport: HostTransport, wishes: ProbeWishes): Promise<HostProbe> {
  const { kitId, kitDir = '', nodePath = '' } = wishes;
  const answer = await transport.exec(['/bin/sh', '-c', PROBE, 'probe', kitId, kitDir, nodePath], {
    timeoutMs: 60_000,
  });
  const found = parseProbe(answer.stdout.toString());
  if (answer.code !== 0 || !found) {
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `${transport.host}: cannot be looked at: a shell there ended with ${answer.code ?? answer.signal}`,
      {
        hint: 'dynamo needs a POSIX shell and the usual small tools (mkdir, dd, sha256sum) on a host.',
        details: answer.stderr.split('\n').filter(Boolean).slice(0, 5),
      },
    );
  }
  if (found.platform !== 'linux') {
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `${transport.host} runs ${found.platform}: dynamo starts processes on Linux only`,
    );
  }
  return found;
}

/** Reads the `key value` lines of the probe. Pure. */
export function parseProbe(text: string): HostProbe | undefined {
  const lines = text
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const);
  const value = (key: string) => lines.find(([name]) => name === key)?.[1] ?? '';
  if (value('end') !== 'yes') return undefined;
  const machine = value('machine');
  return {
    home: value('home'),
    uid: Number(value('uid')),
    arch: { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' }[machine] ?? machine,
    platform: value('system').toLowerCase(),
    kitsDir: value('kits'),
    kitWhole: value('kit') === 'whole',
    nodes: lines
      .filter(([name]) => name === 'node')
      .map(([, rest]) => ({ version: rest.split(' ')[0] ?? '', path: rest.slice(rest.indexOf(' ') + 1) }))
      .filter(({ version }) => isNewEnough(version)),
  };
}

/** Oldest Node that dynamo runs on. */
export const OLDEST_NODE = '22.19';

export function isNewEnough(version: string): boolean {
  const found = /^v?(\d+)\.(\d+)\./.exec(version);
  if (!found) return false;
  const [, major, minor] = found.map(Number) as [number, number, number];
  return major > 22 || (major === 22 && minor >= 19);
}

const PROBE = `id=$1 kits=$2 node=$3
: "\${HOME:=$(cd ~ && pwd)}"
case $kits in
  '~'|'~/'*) kits=$HOME\${kits#'~'} ;;
  '') kits=$HOME/.local/share/dynamo/kits ;;
esac
case $node in '~/'*) node=$HOME\${node#'~'} ;; esac
echo "home $HOME"
echo "uid $(id -u)"
echo "machine $(uname -m)"
echo "system $(uname -s)"
echo "kits $kits"
if [ -d "$kits/$id" ] && (cd "$kits/$id" && sha256sum -c SHA256SUMS >/dev/null 2>&1); then echo 'kit whole'; fi
for program in "$node" "$kits/$id/node" "$(command -v node 2>/dev/null)" "$kits"/node-*/node; do
  if [ -x "$program" ] && version=$("$program" --version 2>/dev/null); then echo "node $version $program"; fi
done
echo 'end yes'`;
