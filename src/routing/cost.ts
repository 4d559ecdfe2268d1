/** Weights of the cost, with the names and meanings of NVIDIA Dynamo's router flags. */
export interface CostWeights {
  /** Worth of a cached block relative to one that must be computed (`--router-kv-overlap-score-credit`). */
  overlapScoreCredit: number;
  /** Weight of prefill work against running blocks (`--router-prefill-load-scale`). */
  prefillLoadScale: number;
}

/** What is known of one worker for one request, in blocks. */
export interface CostInput {
  /** Prefill tokens queued on the worker and those of this request, over the block size; 0 where prefill is not tracked. */
  rawPrefillBlocks: number;
  /** Leading blocks the worker probably has and that earn credit. */
  creditedOverlapBlocks: number;
  /** Blocks running on the worker and those this request would add. */
  decodeBlocks: number;
}

/** The terms of one candidate's cost, all in blocks. */
export interface CostTerms extends CostInput {
  worker: string;
  overlapBlocks: number;
  cost: number;
}

/**
 * cost = prefillLoadScale · max(0, rawPrefillBlocks − credit · overlap) + decodeBlocks; the lowest wins.
 * Formula of NVIDIA Dynamo's `lib/kv-router` selector for one cache tier and no credit decay.
 */
export function kvCost(input: CostInput, weights: CostWeights): number {
  const adjusted = Math.max(0, input.rawPrefillBlocks - weights.overlapScoreCredit * input.creditedOverlapBlocks);
  return weights.prefillLoadScale * adjusted + input.decodeBlocks;
}

/**
 * Index drawn with p ∝ exp(−(cost − min) / ((max − min) · temperature)); uniform when all costs are equal.
 * `random` is uniform in [0, 1). `costs` must not be empty, `temperature` must be above 0.
 */
export function drawByCost(costs: readonly number[], temperature: number, random: number): number {
  const min = Math.min(...costs);
  const span = Math.max(...costs) - min;
  const weights = costs.map((cost) => (span === 0 ? 1 : Math.exp(-(cost - min) / (span * temperature))));
  let left = random * weights.reduce((sum, weight) => sum + weight, 0);
  for (let index = 0; index < weights.length; index += 1) {
    left -= weights[index]!;
    if (left < 0) return index;
  }
  return weights.length - 1;
}
