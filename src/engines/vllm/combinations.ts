import type { EngineFindings, FoundCombination } from '../engine.ts';
import { argValue } from '../engine-args.ts';
import { hasEncoder, hasHybridKv, hasStateSpace } from '../model/model-traits.ts';
import { isGemma, isGptOss } from '../model-family.ts';
import type { WorkerSettings } from '../worker.ts';
import { SPECULATION, speculatesAlike } from './speculation.ts';
import { cachesPrefixes, tensorRanks, transfers } from './worker-shape.ts';

/**
 * Settings of vLLM that are known not to work together, by what was reported and not yet fixed at 0.29. `broken`: every
 * report fails; `risky`: some do. Numbers are issues of vllm-project/vllm unless another project is named.
 */
interface Rule {
  name: string;
  verdict: FoundCombination['verdict'];
  /** Below the group's path. */
  at: readonly string[];
  message: string;
}

interface WorkerRule extends Rule {
  applies(worker: WorkerSettings): boolean;
}

interface PairRule extends Rule {
  applies(prefill: WorkerSettings, decode: WorkerSettings): boolean;
}

const WORKER_RULES: readonly WorkerRule[] = [
  {
    name: 'encoder-decoder-transfer',
    verdict: 'broken',
    at: [],
    message: 'NIXL does not move the KV cache of models with a separate encoder; use `aggregated`',
    applies: (worker) => transfers(worker) && hasEncoder(worker),
  },
  {
    name: 'lmcache-with-nixl',
    verdict: 'broken',
    at: ['kvOffload', 'remote'],
    message:
      'LMCache beside NIXL breaks the hand-over of gpt-oss (rocm-aic#100, reported for Dynamo too); use `kvOffload.cpu`',
    applies: (worker) => transfers(worker) && worker.kvOffload?.remote !== undefined && isGptOss(worker.model),
  },
  {
    name: 'hybrid-kv-transfer',
    verdict: 'risky',
    at: [],
    message:
      'a KV transfer that fails is answered with 200 and wrong text by vLLM up to at least 0.29 for models that mix kinds of attention (#52234); watch vllm:nixl_num_failed_transfers_total, or set `disable-hybrid-kv-cache-manager: true` at about twice the KV memory',
    applies: (worker) =>
      worker.role === 'decode' &&
      hasHybridKv(worker) &&
      argValue(worker.args, 'disable-hybrid-kv-cache-manager') !== true,
  },
  {
    name: 'state-space-prefix-cache',
    verdict: 'risky',
    at: ['args', 'enable-prefix-caching'],
    message:
      'prefix caching was seen to crash prefill and decode workers of models with state-space layers (dynamo#12197); `enable-prefix-caching: false` avoids it',
    applies: (worker) => transfers(worker) && hasStateSpace(worker) && cachesPrefixes(worker),
  },
  {
    name: 'unlimited-disk',
    verdict: 'risky',
    at: ['kvOffload', 'disk'],
    message: 'vLLM does not limit the size of the files behind its host memory tier: the disk can fill up',
    applies: ({ kvOffload }) => kvOffload?.cpu !== undefined && kvOffload.disk !== undefined && !kvOffload.remote,
  },
];

/** Options that enter the hash by which two workers recognise each other: unequal ones fail at the first request. */
const MUST_MATCH = ['dtype', 'kv-cache-dtype', 'attention-backend', SPECULATION, 'hf-overrides'];

const PAIR_RULES: readonly PairRule[] = [
  {
    name: 'state-space-unequal-tp',
    verdict: 'broken',
    at: ['args', 'tensor-parallel-size'],
    message: 'prefill and decode workers of a model with state-space layers need the same tensor-parallel-size',
    applies: (prefill, decode) => hasStateSpace(prefill) && tensorRanks(prefill) !== tensorRanks(decode),
  },
  {
    name: 'larger-prefill-tp',
    verdict: 'risky',
    at: ['args', 'tensor-parallel-size'],
    message:
      'a tensor-parallel-size of prefill workers above that of decode workers fails for some models (#45330, #43523); keep decode at least as large',
    applies: (prefill, decode) => tensorRanks(prefill) > tensorRanks(decode),
  },
  {
    name: 'gemma-unequal-tp',
    verdict: 'risky',
    at: ['args', 'tensor-parallel-size'],
    message: 'unequal tensor-parallel-size was seen to fail with NIXL_ERR_BACKEND for Gemma (#50765); make them equal',
    applies: (prefill, decode) => isGemma(prefill.model) && tensorRanks(prefill) < tensorRanks(decode),
  },
];

export const VLLM_COMBINATIONS: readonly string[] = [...WORKER_RULES, ...PAIR_RULES].map(({ name }) => name);

/** Combinations within one worker. */
export function workerCombinations(worker: WorkerSettings): FoundCombination[] {
  return WORKER_RULES.filter((rule) => rule.applies(worker)).map((rule) => found(rule, worker));
}

/** What a prefill and a decode worker must share, and combinations of the two. Findings stand at the decode worker. */
export function checkPair(prefill: WorkerSettings, decode: WorkerSettings): EngineFindings {
  const differ = (flag: string): boolean =>
    flag === SPECULATION ? !speculatesAlike(prefill, decode) : flagText(prefill, flag) !== flagText(decode, flag);
  const problems = MUST_MATCH.filter(differ).map((flag) => ({
    path: [...decode.path, 'args', flag],
    message: `\`${flag}\` is ${flagText(decode, flag)} for decode but ${flagText(prefill, flag)} for prefill workers; NIXL needs them equal`,
  }));
  const combinations = PAIR_RULES.filter((rule) => rule.applies(prefill, decode)).map((rule) => found(rule, decode));
  return { problems, warnings: [], combinations };
}

const found = ({ name, verdict, at, message }: Rule, worker: WorkerSettings): FoundCombination => ({
  name,
  verdict,
  message,
  path: [...worker.path, ...at],
});

function flagText(worker: WorkerSettings, flag: string): string {
  const value = argValue(worker.args, flag);
  // `auto` is the default; for the type of weights it is the one that the model names.
  const ownType = flag === 'dtype' && value === worker.modelConfig?.dtype;
  if (value === undefined || value === null || value === 'auto' || ownType) return 'not set';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
