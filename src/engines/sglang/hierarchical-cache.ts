import type { EngineLaunch, WorkerSettings } from '../worker.ts';
import { parallelSize } from './worker-shape.ts';

/** SGLang is told its host memory in whole GB. */
export const HOST_MEMORY_UNIT = 1e9;

/** HiCache: host memory behind the GPU, and one store behind that. */
export function hierarchicalCache(worker: WorkerSettings): EngineLaunch {
  const { kvOffload } = worker;
  if (!kvOffload) return { argv: [], env: {}, reasons: [] };
  const { cpu, disk, remote } = kvOffload;
  // The flag counts GB of each rank; the recipe says bytes of the whole worker.
  const size = cpu === undefined ? undefined : Math.floor(cpu / parallelSize(worker) / HOST_MEMORY_UNIT);
  const store = disk ? 'file' : remote ? 'mooncake' : undefined;
  return {
    argv: [
      '--enable-hierarchical-cache',
      ...(size === undefined ? [] : ['--hicache-size', String(size)]),
      ...(store === undefined ? [] : ['--hicache-storage-backend', store]),
    ],
    env: {
      ...(disk ? { SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR: disk.path } : {}),
      ...(remote ? { MOONCAKE_MASTER: remote.url } : {}),
    },
    reasons: [
      size === undefined
        ? 'HiCache keeps KV blocks in host memory, twice what the GPU holds'
        : `HiCache keeps KV blocks in host memory, ${size} GB a rank`,
      ...(disk ? [`behind it files in ${disk.path}, whose size SGLang does not limit`] : []),
      ...(remote ? [`behind it the Mooncake store at ${remote.url}`] : []),
    ],
  };
}
