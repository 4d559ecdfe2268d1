import type { Check } from '../../plan/launch-plan.ts';
import type { RecipeIssue } from '../../recipe/problem.ts';
import type { Engine, EngineFindings, EngineLaunch, PortWish, WorkerPlacement, WorkerSettings } from '../engine.ts';
import { argNumber, argValue, formatArgs, refuseArgs, refuseEnv } from '../engine-args.ts';
import {
  KEEP_ALIVE,
  KEEP_ALIVE_SECONDS,
  SIDE_CHANNEL_FROM,
  SIDE_CHANNEL_HOST,
  SIDE_CHANNEL_PORT,
  WORKER_PORT_FROM,
} from '../worker-settings.ts';
import { VLLM_FAILURES } from './failures.ts';
import { VLLM_RESERVED, VLLM_RESERVED_DISAGGREGATED, VLLM_RESERVED_ENV } from './reserved.ts';

/** torch.distributed's stores search upward from VLLM_PORT; instances on a host must not search in each other's range. */
const INTERNAL_PORTS_FROM = 20_000;
const INTERNAL_PORTS = 100;
/** Block sizes vLLM takes when `block-size` is not given. */
const BLOCK_SIZE_GPU = 16;
const BLOCK_SIZE_CPU = 128;

/** Unmodified `vllm serve`: aggregated, or prefill and decode with the NIXL connector in pull mode. */
export const vllmEngine: Engine = {
  name: 'vllm',
  command: {
    name: 'vllm',
    installHint:
      'Install it (`uv pip install vllm`, with `nixl` for prefill and decode workers), or set `command:` to its path.',
  },
  capabilities: { disaggregation: true, gpus: true },
  defaults: {
    startTimeoutMs: 15 * 60_000,
    liveness: { check: { kind: 'http', path: '/health' }, periodMs: 10_000, timeoutMs: 10_000, failures: 6 },
    // An idle server is gone in 2 s; one with an open stream was seen to hang, so SIGKILL must follow.
    drain: { inFlightMs: 30_000, killAfterMs: 20_000 },
  },
  check,
  defaultGpus: parallelSize,
  ports,
  launch,
  readiness,
  kvTransfer: (worker) => (transfers(worker) ? 'vllm-nixl' : null),
  kvBlockSize: blockSize,
  failures: VLLM_FAILURES,
};

/** Tensor × pipeline × data parallel ranks: each has a GPU of its own. */
function parallelSize({ args }: WorkerSettings): number {
  const sizes = ['tensor-parallel-size', 'pipeline-parallel-size', 'data-parallel-size'];
  return sizes.reduce((product, flag) => product * argNumber(args, flag, 1), 1);
}

const transfers = (worker: WorkerSettings): boolean => worker.role !== 'aggregated';
const onCpu = (worker: WorkerSettings): boolean => worker.gpus === 0;

function blockSize(worker: WorkerSettings): number {
  return argNumber(worker.args, 'block-size', onCpu(worker) ? BLOCK_SIZE_CPU : BLOCK_SIZE_GPU);
}

function ports({ args, role }: WorkerSettings): PortWish[] {
  const ranks = argNumber(args, 'data-parallel-size', 1);
  const wishes: PortWish[] = [
    { purpose: 'http', from: WORKER_PORT_FROM, count: 1 },
    { purpose: 'internal', from: INTERNAL_PORTS_FROM, count: INTERNAL_PORTS },
  ];
  // One listener per data-parallel rank, at the base port plus the rank.
  if (role !== 'aggregated') wishes.push({ purpose: 'sideChannel', from: SIDE_CHANNEL_FROM, count: ranks });
  return wishes;
}

function launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch {
  const reasons: string[] = [];
  const argv = [
    ...(worker.command ?? ['vllm']),
    'serve',
    worker.model,
    '--served-model-name',
    worker.servedModelName,
    '--host',
    placement.address,
    '--port',
    String(placement.ports['http']),
    // The only per-request truth about cached tokens.
    '--enable-prompt-tokens-details',
  ];
  const env: EngineLaunch['env'] = {
    [KEEP_ALIVE]: KEEP_ALIVE_SECONDS,
    VLLM_ENGINE_READY_TIMEOUT_S: String(Math.ceil(placement.startTimeoutMs / 1_000)),
    VLLM_PORT: String(placement.ports['internal']),
  };
  if (onCpu(worker)) env['CUDA_VISIBLE_DEVICES'] = '';
  else {
    env['CUDA_DEVICE_ORDER'] = 'PCI_BUS_ID';
    env['CUDA_VISIBLE_DEVICES'] = placement.gpus.join(',');
  }
  if (transfers(worker)) {
    const config = transferConfig(worker);
    argv.push('--kv-transfer-config', JSON.stringify(config));
    env[SIDE_CHANNEL_HOST] = placement.address;
    env[SIDE_CHANNEL_PORT] = String(placement.ports['sideChannel']);
    reasons.push(`NIXL hands the KV cache over; as ${worker.role} worker it is the ${config.kv_role}`);
  }
  argv.push(...formatArgs(worker.args, { lists: 'values' }));
  return { argv, env: { ...env, ...worker.env }, reasons };
}

interface TransferConfig {
  kv_connector: 'NixlConnector';
  kv_role: 'kv_producer' | 'kv_consumer';
  kv_load_failure_policy: 'fail' | 'recompute';
  kv_buffer_device?: 'cpu';
  kv_connector_extra_config?: { kv_lease_duration: number };
}

function transferConfig(worker: WorkerSettings): TransferConfig {
  const { lease, loadFailurePolicy } = worker.kvTransfer;
  return {
    kv_connector: 'NixlConnector',
    kv_role: worker.role === 'prefill' ? 'kv_producer' : 'kv_consumer',
    kv_load_failure_policy: loadFailurePolicy,
    ...(onCpu(worker) ? { kv_buffer_device: 'cpu' as const } : {}),
    ...(lease === undefined ? {} : { kv_connector_extra_config: { kv_lease_duration: Math.ceil(lease / 1_000) } }),
  };
}

function readiness(worker: WorkerSettings): Check[] {
  const checks: Check[] = [
    { kind: 'http', path: '/health' },
    { kind: 'model-listed', model: worker.servedModelName },
  ];
  if (worker.role === 'aggregated') checks.push({ kind: 'generate', model: worker.servedModelName });
  // The listener's thread dies silently when its port is taken; only a connection shows that it listens.
  if (worker.role === 'prefill') checks.push({ kind: 'tcp', port: 'sideChannel' });
  return checks;
}

function check(worker: WorkerSettings): EngineFindings {
  const reserved = transfers(worker) ? { ...VLLM_RESERVED, ...VLLM_RESERVED_DISAGGREGATED } : VLLM_RESERVED;
  const problems: RecipeIssue[] = [
    ...refuseArgs(worker.path, worker.args, reserved),
    ...refuseEnv(worker.path, worker.env, VLLM_RESERVED_ENV),
    ...checkParallelSize(worker),
    ...checkTransfer(worker),
  ];
  return { problems, warnings: [] };
}

function checkParallelSize(worker: WorkerSettings): RecipeIssue[] {
  const needed = parallelSize(worker);
  if (!worker.gpus || worker.gpus === needed) return [];
  const sizes = '`tensor-parallel-size` × `pipeline-parallel-size` × `data-parallel-size`';
  const outcome = worker.gpus < needed ? 'vLLM could not start' : `${worker.gpus - needed} would stay idle`;
  return [
    {
      path: [...worker.path, 'gpus'],
      message: `${sizes} is ${needed}, so with ${worker.gpus} GPUs ${outcome}; make them equal`,
    },
  ];
}

function checkTransfer(worker: WorkerSettings): RecipeIssue[] {
  if (!transfers(worker)) return [];
  const problems: RecipeIssue[] = [];
  if (argNumber(worker.args, 'pipeline-parallel-size', 1) > 1)
    problems.push({
      path: [...worker.path, 'args', 'pipeline-parallel-size'],
      message: 'NIXL in pull mode does not work with pipeline parallelism; use tensor-parallel-size',
    });
  const allocator = worker.env['PYTORCH_CUDA_ALLOC_CONF'];
  const cumem = argValue(worker.args, 'enable-cumem-allocator') === true;
  if (typeof allocator === 'string' && /expandable_segments:\s*true/i.test(allocator) && !cumem)
    problems.push({
      path: [...worker.path, 'env', 'PYTORCH_CUDA_ALLOC_CONF'],
      message: 'vLLM refuses expandable_segments together with a KV connector',
    });
  return problems;
}
