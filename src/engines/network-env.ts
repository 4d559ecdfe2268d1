import { isLoopback } from '../base/url-host.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from './worker.ts';

type NetworkEnv = Pick<EngineLaunch, 'env' | 'reasons'>;

const NOTHING: NetworkEnv = { env: {}, reasons: [] };

/**
 * Devices for the hand-over of KV cache by NIXL over UCX, where the hosts file limits them. UCX takes RDMA ports as `mlx5_0:1` and
 * interfaces by name. One that speaks TCP stays in the list, because peers find each other over it: without one SGLang was
 * seen to hang (sgl-project/sglang#28737, #40641). UCX leaves it idle where RDMA works. Shared memory and NVLink are no network devices to UCX
 * and stay as they are. What recipe or hosts file write of it wins.
 */
export function kvTransferNetwork(worker: WorkerSettings, { address, network }: WorkerPlacement): NetworkEnv {
  const allowed = network?.allowed;
  if (!allowed || 'UCX_NET_DEVICES' in worker.env) return NOTHING;
  const contact = isLoopback(address) ? 'lo' : network.dataInterface;
  const extra = allowed.interfaces.length === 0 && contact !== null ? [contact] : [];
  const devices = [...allowed.rdma, ...allowed.interfaces, ...extra];
  const down = allowed.down.length === 0 ? '' : `, without ${allowed.down.join(', ')}, whose link is down`;
  if (devices.length === 0) return NOTHING;
  return {
    env: { UCX_NET_DEVICES: devices.join(',') },
    reasons: [
      `UCX_NET_DEVICES has the \`nics\` of the hosts file${down}${
        extra.length === 0 ? '' : `, and ${extra.join('')}, by which peers find each other`
      }`,
    ],
  };
}

/**
 * Devices for the collectives of a worker that spans hosts. NCCL and Gloo meet on the interface of the data-plane address; left alone,
 * Gloo takes whatever the host's own name leads to, and NCCL the first interface it finds. `=` is NCCL's sign for whole names, where it
 * would otherwise take `mlx5_1` for `mlx5_10` as well. A worker on one host uses no network for that and gets nothing.
 * https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html
 */
export function collectivesNetwork(worker: WorkerSettings, { address, node, network }: WorkerPlacement): NetworkEnv {
  if (!node || !network) return NOTHING;
  const { allowed, dataInterface } = network;
  const wished: NetworkEnv[] = [];
  if (dataInterface !== null)
    wished.push({
      env: { NCCL_SOCKET_IFNAME: `=${dataInterface}`, GLOO_SOCKET_IFNAME: dataInterface },
      reasons: [`NCCL and Gloo meet on ${dataInterface}, which has the data-plane address ${address}`],
    });
  if (allowed && allowed.rdma.length > 0)
    wished.push({
      env: { NCCL_IB_HCA: `=${allowed.rdma.join(',')}` },
      reasons: ['NCCL_IB_HCA has the RDMA devices among `nics` of the hosts file'],
    });
  else if (allowed && !('NCCL_IB_HCA' in worker.env))
    wished.push({
      env: { NCCL_IB_DISABLE: '1' },
      reasons: ['NCCL_IB_DISABLE, as `nics` of the hosts file has no RDMA device that is up'],
    });
  return merge(wished, worker.env);
}

/** Leaves out what somebody wrote down, and the reason with the last of its variables. */
function merge(wished: readonly NetworkEnv[], written: WorkerSettings['env']): NetworkEnv {
  const left = wished.flatMap(({ env, reasons }) => {
    const own = Object.entries(env).filter(([name]) => !(name in written));
    return own.length === 0 ? [] : [{ env: Object.fromEntries(own), reasons }];
  });
  return {
    env: Object.assign({}, ...left.map(({ env }) => env)),
    reasons: left.flatMap(({ reasons }) => reasons),
  };
}
