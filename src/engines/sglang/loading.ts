import path from 'node:path';
import { formatArgs } from '../engine-args.ts';
import type { EngineLaunch, WorkerSettings } from '../worker.ts';

const REMOTE = 'remote-instance-weight-loader-';

/** Flags of SGLang's weight loader, and its caches of compiled kernels. */
export function loading({ load }: WorkerSettings): EngineLaunch {
  if (!load) return { argv: [], env: {}, reasons: [] };
  const { compileCache } = load;
  return {
    argv: loaderArgs(load),
    env:
      compileCache === undefined
        ? {}
        : {
            SGLANG_DG_CACHE_DIR: path.posix.join(compileCache, 'deep_gemm'),
            TORCHINDUCTOR_CACHE_DIR: path.posix.join(compileCache, 'inductor'),
            TRITON_CACHE_DIR: path.posix.join(compileCache, 'triton'),
          },
    reasons: compileCache === undefined ? [] : [`compiled kernels are kept in ${compileCache} for the next start`],
  };
}

function loaderArgs({ loader, settings }: NonNullable<WorkerSettings['load']>): string[] {
  const json = JSON.stringify(settings);
  const extra = json === '{}' ? [] : ['--model-loader-extra-config', json];
  if (loader === 'default') return extra;
  // Its settings are flags: `seed-instance-ip`, `seed-instance-service-port`, `backend`, …
  if (loader === 'remote_instance')
    return ['--load-format', loader, ...formatArgs(prefixed(settings), { lists: 'values', off: 'omit' })];
  if (loader === 'modelexpress')
    return ['--load-format', 'remote_instance', `--${REMOTE}backend`, 'modelexpress', '--modelexpress-config', json];
  return ['--load-format', loader, ...extra];
}

function prefixed(settings: Record<string, unknown>): WorkerSettings['args'] {
  const entries = Object.entries(settings).map(([name, value]) => [
    `${REMOTE}${name}`,
    Array.isArray(value) ? JSON.stringify(value) : value,
  ]);
  return Object.fromEntries(entries) as WorkerSettings['args'];
}
