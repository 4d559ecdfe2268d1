import { collectivesNetwork } from '../network-env.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from '../worker.ts';
import { dataRanks } from './worker-shape.ts';

/**
 * One vLLM over several hosts, without Ray. Data-parallel ranks are shared out over the hosts, each of them whole on one: the
 * leader serves for all, followers run engines only and find it by its RPC port. Without data parallelism the tensor- and
 * pipeline-parallel ranks are shared out, and the hosts meet at the master port. Flags of 0.22 to 0.32; not run on GPUs.
 */
export function acrossHosts(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const { node, address, ports } = placement;
  if (!node) return { argv: [], env: {}, reasons: [] };
  const { rank, size, leaderAddress } = node;
  // The address its sockets between the hosts are bound to; otherwise that of the default route.
  const network = collectivesNetwork(worker, placement);
  const env = { VLLM_HOST_IP: address, ...network.env };
  const ranks = dataRanks(worker);
  if (ranks === 1)
    return {
      argv: [
        ...['--nnodes', String(size), '--node-rank', String(rank)],
        ...['--master-addr', leaderAddress, '--master-port', String(ports['master'])],
      ],
      env,
      reasons: [
        ...(rank === 0 ? [`leads ${size} hosts, which meet at ${leaderAddress}, port ${ports['master']}`] : []),
        ...network.reasons,
      ],
    };
  const local = ranks / size;
  const first = rank * local;
  return {
    argv: [
      ...['--data-parallel-size-local', String(local)],
      ...(rank === 0 ? [] : ['--data-parallel-start-rank', String(first)]),
      ...['--data-parallel-address', leaderAddress],
    ],
    env,
    reasons: [`runs the data-parallel ranks ${first} to ${first + local - 1} of ${ranks}`, ...network.reasons],
  };
}

/** It computes for a leader on another host. */
export const isFollower = ({ node }: WorkerPlacement): boolean => node !== null && node.rank > 0;
