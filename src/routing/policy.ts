import type { BlockHashes } from './block-hash.ts';
import type { CommonBlocks } from './common-blocks.ts';
import type { CostTerms, CostWeights } from './cost.ts';
import type { PrefixMemory } from './prefix-memory.ts';
import type { Random } from './random.ts';
import type { WorkerLoad } from './worker-load.ts';

export const ROUTER_MODES = ['kv', 'round-robin', 'random', 'least-loaded', 'power-of-two', 'direct'] as const;
export type RouterMode = (typeof ROUTER_MODES)[number];

/** A worker as a policy sees it. */
export interface RoutedWorker {
  id: string;
  generation: number;
  load: WorkerLoad;
  memory: PrefixMemory;
}

/** A request as a policy sees it. */
export interface RouteRequest {
  /** Hashes of the prompt's full blocks; empty where the mode does not look at them. */
  blocks: BlockHashes;
  promptTokens: number;
}

/** What a policy may use besides the workers. */
export interface PolicyContext {
  nowMs: number;
  random: Random;
  blockSize: number;
  weights: CostWeights;
  temperature: number;
  trackPrefillTokens: boolean;
  trackActiveBlocks: boolean;
  commonBlocks: CommonBlocks;
}

export interface Choice {
  worker: RoutedWorker;
  /** Why, for people. */
  reason: string;
  /** Terms of every candidate, where the policy weighs costs. */
  costs: CostTerms[];
}

/** One way to choose among workers that can all take the request. `workers` is never empty and sorted by id. */
export interface Policy {
  /** Whether it needs `RouteRequest.blocks`. */
  readonly usesBlocks: boolean;
  choose(request: RouteRequest, workers: readonly RoutedWorker[], context: PolicyContext): Choice;
}

/**
 * The worker that was given the fewest prefill tokens of late, so that idle workers share the load; equals by lot, so that
 * routers that know nothing yet do not all choose the same.
 */
export function leastRecentlyGiven(workers: readonly RoutedWorker[], context: PolicyContext): RoutedWorker {
  let best = workers[0]!;
  let bestTokens = best.load.recentTokens(context.nowMs);
  let ties = 1;
  for (let index = 1; index < workers.length; index += 1) {
    const tokens = workers[index]!.load.recentTokens(context.nowMs);
    if (tokens > bestTokens) continue;
    ties = tokens === bestTokens ? ties + 1 : 1;
    // The n-th equal replaces the choice with probability 1/n: each is equally likely in one pass.
    if (ties === 1 || context.random() * ties < 1) best = workers[index]!;
    bestTokens = tokens;
  }
  return best;
}
