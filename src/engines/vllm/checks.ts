import type { RecipeIssue } from '../../recipe/problem.ts';
import type { EngineFindings } from '../engine.ts';
import { argNumber, argValue, flagName, refuseArgs, refuseEnv } from '../engine-args.ts';
import { writtenFlag } from '../model/written-use.ts';
import type { WorkerSettings } from '../worker.ts';
import { workerCombinations } from './combinations.ts';
import {
  VLLM_REMOVED,
  VLLM_RESERVED,
  VLLM_RESERVED_CONNECTOR,
  VLLM_RESERVED_ENV,
  VLLM_RESERVED_EVENTS,
  VLLM_RESERVED_LOAD,
} from './reserved.ts';
import { cachesPrefixes, dataRanks, MEMORY_SHARE, onCpu, parallelSize, transfers } from './worker-shape.ts';

/** What is wrong with the settings of a vLLM worker. */
export function checkWorker(worker: WorkerSettings): EngineFindings {
  const reserved = {
    ...VLLM_RESERVED,
    ...VLLM_REMOVED,
    ...(transfers(worker) || worker.kvOffload ? VLLM_RESERVED_CONNECTOR : {}),
    ...(worker.kvEvents ? VLLM_RESERVED_EVENTS : {}),
    ...(worker.load ? VLLM_RESERVED_LOAD : {}),
  };
  return {
    problems: [
      ...refuseArgs(worker.path, worker.args, reserved),
      ...refuseEnv(worker.path, worker.env, VLLM_RESERVED_ENV),
      ...refuseShortFlags(worker),
      ...checkParallelSize(worker),
      ...checkHosts(worker),
      ...checkTransfer(worker),
      ...checkTiers(worker),
      ...checkEvents(worker),
      ...checkLoad(worker),
      ...checkSharing(worker),
    ],
    warnings: [],
    combinations: workerCombinations(worker),
  };
}

/** vLLM also takes `--tp`; the plan counts GPUs by the long names. */
const ALIASES: Readonly<Record<string, string>> = {
  tp: 'tensor-parallel-size',
  pp: 'pipeline-parallel-size',
  dp: 'data-parallel-size',
  q: 'quantization',
};

function refuseShortFlags(worker: WorkerSettings): RecipeIssue[] {
  return Object.keys(worker.args).flatMap((name) => {
    const long = Object.hasOwn(ALIASES, flagName(name)) ? ALIASES[flagName(name)] : undefined;
    return long === undefined
      ? []
      : [{ path: [...worker.path, 'args', name], message: `write \`${long}\` for \`${name}\``, atKey: true }];
  });
}

const CONTEXT = 'prefill-context-parallel-size';

function checkParallelSize(worker: WorkerSettings): RecipeIssue[] {
  const needed = parallelSize(worker);
  if (!worker.gpus || worker.gpus === needed) return [];
  const context = argValue(worker.args, CONTEXT) === undefined ? [] : [CONTEXT];
  const names = ['tensor-parallel-size', 'pipeline-parallel-size', ...context, 'data-parallel-size'];
  const sizes = names.map((name) => `\`${name}\``).join(' × ');
  const outcome = worker.gpus < needed ? 'vLLM could not start' : `${worker.gpus - needed} would stay idle`;
  return [
    {
      path: [...worker.path, 'gpus'],
      message: `${sizes} is ${needed}, so with ${worker.gpus} GPUs ${outcome}; make them equal`,
    },
  ];
}

function checkHosts(worker: WorkerSettings): RecipeIssue[] {
  if (worker.nodes === 1) return [];
  const problems: RecipeIssue[] = ['distributed-executor-backend', 'data-parallel-backend'].flatMap((flag) => {
    const value = argValue(worker.args, flag);
    if (value === undefined || value === null || value === 'mp') return [];
    const message = 'dynamo joins hosts by processes of its own (`mp`), without Ray; leave it out';
    return [{ path: [...worker.path, 'args', flag], message }];
  });
  const ranks = dataRanks(worker);
  if (ranks > 1 && ranks % worker.nodes !== 0)
    problems.push({
      path: [...worker.path, 'nodes'],
      message: `the ${ranks} data-parallel ranks cannot be divided over ${worker.nodes} hosts, each of them whole on one host`,
    });
  return problems;
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

function checkTiers(worker: WorkerSettings): RecipeIssue[] {
  const { kvOffload, path } = worker;
  if (!kvOffload) return [];
  const at = (...keys: string[]) => [...path, 'kvOffload', ...keys];
  const problems: RecipeIssue[] = [];
  if (onCpu(worker))
    problems.push({ path: at(), message: 'vLLM offloads KV blocks from GPUs only; this worker runs on the CPU' });
  if (!cachesPrefixes(worker))
    problems.push({
      path: at(),
      message: 'offloaded blocks are found again by prefix caching, which `args` switch off; drop one of the two',
    });
  if (kvOffload.remote?.backend === 'mooncake')
    problems.push({ path: at('remote', 'backend'), message: 'vLLM reaches a remote store through `lmcache`' });
  return problems;
}

function checkEvents(worker: WorkerSettings): RecipeIssue[] {
  if (!worker.kvEvents || cachesPrefixes(worker)) return [];
  return [
    {
      path: [...worker.path, 'args', 'enable-prefix-caching'],
      message: 'vLLM publishes no KV events without prefix caching; drop `kvEvents` or switch the caching on',
    },
  ];
}

function checkLoad({ load, path }: WorkerSettings): RecipeIssue[] {
  if (load?.loader !== 'remote_instance') return [];
  return [{ path: [...path, 'load', 'loader'], message: '`remote_instance` is a loader of sglang; vLLM has none' }];
}

function checkSharing(worker: WorkerSettings): RecipeIssue[] {
  const share = argValue(worker.args, ...MEMORY_SHARE);
  if (worker.workersPerGpu === 1 || typeof share !== 'number' || share * worker.workersPerGpu <= 1) return [];
  return [
    {
      path: [...worker.path, 'args', writtenFlag(worker.args, ...MEMORY_SHARE)],
      message: `it is a share of the whole GPU: ${worker.workersPerGpu} workers with ${share} each do not fit`,
    },
  ];
}
