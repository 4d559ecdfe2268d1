import { type CostTerms, drawByCost, kvCost } from '../cost.ts';
import {
  leastRecentlyGiven,
  type Policy,
  type PolicyContext,
  type RoutedWorker,
  type RouteRequest,
} from '../policy.ts';

/** Costs closer than this, in blocks, count as equal. */
const EQUAL_BLOCKS = 1e-6;

/**
 * The worker where the request costs least: blocks it must compute beyond those it probably has, plus blocks running there.
 * Blocks that nearly every request shares earn no credit (`common-blocks.ts`). Among equals the worker that was given the
 * fewest tokens of late; with a temperature above 0 a draw by cost instead.
 */
export function kvAware(): Policy {
  return {
    usesBlocks: true,
    choose(request, workers, context) {
      const common = context.weights.overlapScoreCredit > 0 ? context.commonBlocks.discount(request.blocks) : 0;
      const costs = workers.map((worker) => costOf(request, worker, common, context));
      if (context.temperature > 0) {
        const drawn = drawByCost(
          costs.map(({ cost }) => cost),
          context.temperature,
          context.random(),
        );
        return { worker: workers[drawn]!, reason: `drawn by cost at temperature ${context.temperature}`, costs };
      }
      const least = Math.min(...costs.map(({ cost }) => cost));
      const equals = workers.filter((_, index) => costs[index]!.cost <= least + EQUAL_BLOCKS);
      const worker = equals.length === 1 ? equals[0]! : leastRecentlyGiven(equals, context);
      const reason =
        equals.length === 1 ? 'lowest cost' : `fewest recent tokens of ${equals.length} workers with the lowest cost`;
      return { worker, reason, costs };
    },
  };
}

function costOf(request: RouteRequest, worker: RoutedWorker, common: number, context: PolicyContext): CostTerms {
  const { blockSize, weights } = context;
  const promptBlocks = Math.ceil(request.promptTokens / blockSize);
  const overlapBlocks = weights.overlapScoreCredit > 0 ? worker.memory.overlap(request.blocks, context.nowMs) : 0;
  const input = {
    rawPrefillBlocks: context.trackPrefillTokens
      ? (worker.load.activePrefillTokens + request.promptTokens) / blockSize
      : 0,
    creditedOverlapBlocks: Math.max(0, overlapBlocks - common),
    decodeBlocks: context.trackActiveBlocks
      ? worker.load.activeBlocks + worker.load.addedBlocks(request.blocks, promptBlocks)
      : 0,
  };
  return { worker: worker.id, overlapBlocks, ...input, cost: kvCost(input, weights) };
}
