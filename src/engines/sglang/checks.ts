import { formatBytes } from '../../base/bytes.ts';
import type { RecipeIssue } from '../../recipe/problem.ts';
import type { EngineFindings, FoundCombination } from '../engine.ts';
import { argValue, refuseArgs, refuseEnv } from '../engine-args.ts';
import { hasHybridKv } from '../model/model-traits.ts';
import type { WorkerSettings } from '../worker.ts';
import { HOST_MEMORY_UNIT } from './hierarchical-cache.ts';
import {
  SGLANG_RESERVED,
  SGLANG_RESERVED_ENV,
  SGLANG_RESERVED_EVENTS,
  SGLANG_RESERVED_LOAD,
  SGLANG_RESERVED_TIERS,
} from './reserved.ts';
import {
  dataRanks,
  hasDpAttention,
  keepsPrefixes,
  onCpu,
  parallelSize,
  pipelineRanks,
  tensorRanks,
  transfers,
} from './worker-shape.ts';

/** What is wrong with the settings of an SGLang worker. Numbers are issues of sgl-project/sglang. */
export function checkWorker(worker: WorkerSettings): EngineFindings {
  const reserved = {
    ...SGLANG_RESERVED,
    ...(worker.kvEvents ? SGLANG_RESERVED_EVENTS : {}),
    ...(worker.kvOffload ? SGLANG_RESERVED_TIERS : {}),
    ...(worker.load ? SGLANG_RESERVED_LOAD : {}),
  };
  return {
    problems: [
      ...refuseArgs(worker.path, worker.args, reserved),
      ...refuseEnv(worker.path, worker.env, SGLANG_RESERVED_ENV),
      ...checkParallelSize(worker),
      ...checkTransfer(worker),
      ...checkTiers(worker),
      ...checkEvents(worker),
      ...checkLoad(worker),
    ],
    warnings: [],
    combinations: RULES.filter((rule) => rule.applies(worker)).map(({ name, verdict, at, message }) => ({
      name,
      verdict,
      message,
      path: [...worker.path, ...at],
    })),
  };
}

const RULES: readonly {
  name: string;
  verdict: FoundCombination['verdict'];
  at: readonly string[];
  message: string;
  applies(worker: WorkerSettings): boolean;
}[] = [
  {
    name: 'plain-data-parallel-transfer',
    verdict: 'broken',
    at: ['args'],
    message:
      'data parallelism without `enable-dp-attention` does not work with prefill and decode workers (#29725); use `replicas`',
    applies: (worker) => transfers(worker) && dataRanks(worker) > 1 && !hasDpAttention(worker),
  },
  {
    name: 'decode-radix-speculative',
    verdict: 'broken',
    at: ['args', 'disaggregation-decode-enable-radix-cache'],
    message: 'SGLang refuses a prefix cache on decode workers together with speculative decoding',
    applies: (worker) =>
      argValue(worker.args, 'disaggregation-decode-enable-radix-cache') === true &&
      argValue(worker.args, 'speculative-algorithm') !== undefined,
  },
  {
    name: 'hybrid-nixl',
    verdict: 'risky',
    at: [],
    message:
      'the KV cache of sliding-window and state-space layers was not handed over by NIXL in some versions (#18939): compare answers with an aggregated worker first',
    applies: (worker) => worker.role === 'decode' && hasHybridKv(worker),
  },
];

const UNEQUAL_TP = 'unequal-tp';
export const SGLANG_COMBINATIONS: readonly string[] = [...RULES.map(({ name }) => name), UNEQUAL_TP];

/** Must be equal on both sides, or the first request fails. */
const MUST_MATCH = ['kv-cache-dtype', 'dtype', 'quantization'] as const;

export function checkPair(prefill: WorkerSettings, decode: WorkerSettings): EngineFindings {
  const text = (worker: WorkerSettings, flag: string): string => {
    const value = String(argValue(worker.args, flag) ?? 'auto');
    const ownType = flag === 'dtype' && value === worker.modelConfig?.dtype;
    return value === 'auto' || ownType ? 'not set' : value;
  };
  const problems: RecipeIssue[] = MUST_MATCH.filter((flag) => text(prefill, flag) !== text(decode, flag)).map(
    (flag) => ({
      path: [...decode.path, 'args', flag],
      message: `\`${flag}\` is ${text(decode, flag)} for decode but ${text(prefill, flag)} for prefill workers; SGLang needs them equal`,
    }),
  );
  if (![1, pipelineRanks(prefill)].includes(pipelineRanks(decode)))
    problems.push({
      path: [...decode.path, 'args', 'pp-size'],
      message: `pp-size of decode workers must be 1 or that of the prefill workers (${pipelineRanks(prefill)})`,
    });
  if (tensorRanks(prefill) === tensorRanks(decode)) return { problems, warnings: [] };
  const hybrid = hasHybridKv(prefill);
  return {
    problems,
    warnings: [],
    combinations: [
      {
        name: UNEQUAL_TP,
        verdict: hybrid ? 'broken' : 'risky',
        path: [...decode.path, 'args', 'tp-size'],
        message: hybrid
          ? 'models with sliding windows need the same tp-size for prefill and decode workers: clients hang otherwise (#38552)'
          : 'unequal tp-size of prefill and decode workers fails with NIXL_ERR_NOT_FOUND before July 2026 (#31295)',
      },
    ],
  };
}

function checkParallelSize(worker: WorkerSettings): RecipeIssue[] {
  const problems: RecipeIssue[] = [];
  const needed = parallelSize(worker);
  if (worker.gpus && worker.gpus !== needed)
    problems.push({
      path: [...worker.path, 'gpus'],
      message: `the parallel sizes make ${needed}, so ${worker.gpus} GPUs do not fit; make them equal`,
    });
  if (hasDpAttention(worker) && tensorRanks(worker) % dataRanks(worker) !== 0)
    problems.push({
      path: [...worker.path, 'args', 'dp-size'],
      message: `with enable-dp-attention, dp-size (${dataRanks(worker)}) must divide tp-size (${tensorRanks(worker)})`,
    });
  return problems;
}

function checkTransfer(worker: WorkerSettings): RecipeIssue[] {
  if (!transfers(worker)) return [];
  const problems: RecipeIssue[] = [];
  if (onCpu(worker))
    problems.push({ path: [...worker.path, 'gpus'], message: 'SGLang hands KV cache over between GPUs only' });
  if (worker.kvTransfer.loadFailurePolicy === 'recompute')
    problems.push({
      path: ['kvTransfer', 'loadFailurePolicy'],
      message: 'an SGLang decode worker cannot read a prompt again when the transfer fails; use `fail`',
    });
  return problems;
}

function checkTiers(worker: WorkerSettings): RecipeIssue[] {
  const { kvOffload, path, args } = worker;
  if (!kvOffload) return [];
  const at = (...keys: string[]) => [...path, 'kvOffload', ...keys];
  const problems: RecipeIssue[] = [];
  const least = parallelSize(worker) * HOST_MEMORY_UNIT;
  if (kvOffload.cpu !== undefined && kvOffload.cpu < least)
    problems.push({
      path: at('cpu'),
      message: `SGLang counts host memory in whole GB of each rank: expected at least ${formatBytes(least)} for ${parallelSize(worker)} of them`,
    });
  if (kvOffload.remote?.backend === 'lmcache')
    problems.push({ path: at('remote', 'backend'), message: 'SGLang reaches a remote store through `mooncake`' });
  if (kvOffload.disk && kvOffload.remote)
    problems.push({ path: at('disk'), message: 'HiCache has one store behind the host memory: `disk` or `remote`' });
  if (argValue(args, 'disable-radix-cache') === true)
    problems.push({ path: at(), message: 'HiCache extends the radix cache, which `args` switch off' });
  if (!keepsPrefixes(worker))
    problems.push({
      path: at(),
      message:
        'an SGLang decode worker keeps no prefix cache that could be offloaded; set `kvOffload` under `workers.prefill` only',
    });
  return problems;
}

function checkEvents({ kvEvents, args, path }: WorkerSettings): RecipeIssue[] {
  if (!kvEvents || argValue(args, 'disable-radix-cache') !== true) return [];
  const message = 'SGLang publishes no KV events without its radix cache; drop `kvEvents` or keep the cache';
  return [{ path: [...path, 'args', 'disable-radix-cache'], message }];
}

/** What SGLang reads weights of another instance with, unless its backend needs no ports of its own. */
const REMOTE_INSTANCE = ['seed-instance-ip', 'seed-instance-service-port', 'send-weights-group-ports'];

/** SGLang itself only warns of what is missing, and reads the weights from disk. */
function checkLoad(worker: WorkerSettings): RecipeIssue[] {
  const { load, path } = worker;
  if (load?.loader !== 'remote_instance') return [];
  const settings = load.settings as WorkerSettings['args'];
  const at = [...path, 'load', 'settings'];
  const needed = argValue(settings, 'backend') === 'transfer_engine' ? REMOTE_INSTANCE.slice(0, 2) : REMOTE_INSTANCE;
  const missing = needed.filter((name) => argValue(settings, name) === undefined);
  if (missing.length > 0)
    return [{ path: at, message: `\`remote_instance\` needs ${missing.map((name) => `\`${name}\``).join(', ')}` }];
  const ports = argValue(settings, 'send-weights-group-ports');
  if (!Array.isArray(ports) || ports.length >= tensorRanks(worker)) return [];
  const message = `expected a port for each of ${tensorRanks(worker)} tensor-parallel ranks`;
  return [{ path: [...at, 'send-weights-group-ports'], message }];
}
