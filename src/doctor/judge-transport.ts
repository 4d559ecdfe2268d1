import type { RdmaFacts } from '../hosts/host-facts.ts';
import { kindOf, type PayloadPath, type TransportKind } from './ucx-transport.ts';

/** How KV cache travels between two workers, and whether it should. */
export interface TransportVerdict {
  /** Transports of large payloads, `rc_mlx5/mlx5_0:1`; empty when the logs do not tell. */
  transports: string[];
  kinds: TransportKind[];
  status: 'ok' | 'slow' | 'unknown';
  message: string;
  fix: string | null;
}

export interface TransportSetting {
  sameHost: boolean;
  /** Either worker has GPUs. */
  onGpus: boolean;
  /** RDMA ports of this machine, active or not. */
  rdma: readonly RdmaFacts[];
  simulated: boolean;
  /** Where a log could not be read. */
  unreadable: readonly string[];
}

const ASK_UCX = 'Restart the workers with `env: { UCX_PROTO_INFO: y }` in the recipe; UCX then prints what it chose.';

/** Judges what the logs of both workers say. TCP where RDMA or GPU peer access was to be expected is `slow`. */
export function judgeTransport(paths: readonly PayloadPath[], setting: TransportSetting): TransportVerdict {
  if (setting.simulated)
    return verdict([], 'unknown', 'the simulated engine moves no bytes: its transfers are counted, not carried', null);
  const relevant = paths.filter(({ scope }) => scope === (setting.sameHost ? 'intra-node' : 'inter-node'));
  const newest = relevant.at(-1);
  const active = setting.rdma.filter(({ state }) => state === 'active');
  const expectation = expected(setting, active);
  if (!newest) {
    const where =
      setting.unreadable.length > 0
        ? `the logs of ${setting.unreadable.join(' and ')} cannot be read from here`
        : 'the logs do not say which transport UCX chose';
    return verdict([], 'unknown', expectation ? `${where}; ${expectation} is to be expected` : where, ASK_UCX);
  }
  const { transports, how, operation } = newest;
  const carried = `UCX carries KV cache by ${transports.join(' and ')} (${operation}, ${how})`;
  const isTcp = transports.some((transport) => kindOf(transport) === 'tcp');
  if (isTcp && expectation !== undefined)
    return verdict(
      transports,
      'slow',
      `${carried}: TCP, where ${expectation} was to be expected`,
      fixFor(setting, active),
    );
  if (isTcp && setting.sameHost)
    return verdict(
      transports,
      'slow',
      `${carried}: TCP between two workers of one host, where shared memory would do`,
      'Leave UCX_TLS and UCX_NET_DEVICES out of the recipe, or add `sm` to UCX_TLS.',
    );
  return verdict(transports, 'ok', carried, null);
}

function verdict(
  transports: string[],
  status: TransportVerdict['status'],
  message: string,
  fix: string | null,
): TransportVerdict {
  return { transports, kinds: [...new Set(transports.map(kindOf))], status, message, fix };
}

/** What should carry the cache, in words; undefined where TCP is all there is. */
function expected({ sameHost, onGpus }: TransportSetting, active: readonly RdmaFacts[]): string | undefined {
  if (sameHost && onGpus) return 'GPU peer access (cuda_ipc)';
  return active.length > 0 && !sameHost
    ? `RDMA (${active.map(({ device, port }) => `${device}:${port}`).join(', ')})`
    : undefined;
}

function fixFor({ sameHost }: TransportSetting, active: readonly RdmaFacts[]): string {
  if (sameHost)
    return 'Let each worker see the other one’s GPUs (CUDA_VISIBLE_DEVICES), allow IPC between their containers, and leave UCX_TLS unset or add `cuda_ipc`.';
  const devices = active.map(({ device, port }) => `${device}:${port}`).join(',');
  return `Set UCX_NET_DEVICES=${devices} on both sides (keep one TCP device beside them for contact), UCX_TLS unset or with \`rc\`, unlimited locked memory, and load nvidia-peermem for GPU memory.`;
}
