import type { EngineLaunch, WorkerPlacement } from './worker.ts';

/** Ports of workers are tried from here up: below every system's ephemeral range, away from the frontends' 8000. */
export const WORKER_PORT_FROM = 8_100;

/** vLLM's own default for NIXL's handshake; each data-parallel rank takes the next. */
export const SIDE_CHANNEL_FROM = 5_600;
export const SIDE_CHANNEL_HOST = 'VLLM_NIXL_SIDE_CHANNEL_HOST';
export const SIDE_CHANNEL_PORT = 'VLLM_NIXL_SIDE_CHANNEL_PORT';

/** vLLM closes idle connections after 5 s by default, which races with a frontend's pool. */
export const KEEP_ALIVE = 'VLLM_HTTP_TIMEOUT_KEEP_ALIVE';
export const KEEP_ALIVE_SECONDS = '75';

/** KV events of vLLM and SGLang: one port a data-parallel rank, and as many for their replay. */
export const KV_EVENTS_FROM = 7_100;
export const KV_REPLAY_FROM = 7_600;

/**
 * The GPUs a worker sees: its own first, as engines count from there, then those of the workers it exchanges KV cache with,
 * because UCX opens memory of another process (cuda_ipc) only on a GPU it can see.
 */
export function visibleGpus({ gpus, peerGpus }: WorkerPlacement): Pick<EngineLaunch, 'env' | 'reasons'> {
  const others = peerGpus.filter((gpu) => !gpus.includes(gpu));
  return {
    env: { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: [...gpus, ...others].join(',') },
    reasons:
      others.length === 0
        ? []
        : [`sees GPUs ${others.join(', ')} of its peers too, after its own, so that KV blocks can go over NVLink`],
  };
}
