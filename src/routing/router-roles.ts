import type { WorkerRole } from '../base/role.ts';
import { Router, type RouterOptions } from './router.ts';

/** What a deployment sets; the rest follows from the role of the workers. */
export type RouterSettings = Pick<RouterOptions, 'mode' | 'blockSize' | 'weights' | 'temperature' | 'ttlMs' | 'random'>;

/**
 * The router for workers of one role, as NVIDIA Dynamo sets them up: prefill workers are chosen by cache and queued prefill
 * work; decode workers by running blocks only (they receive the cache, so an overlap earns nothing and every request counts
 * whole); aggregated workers by all terms.
 */
export function createRoleRouter(role: WorkerRole, settings: RouterSettings): Router {
  const decode = role === 'decode';
  return new Router({
    ...settings,
    weights: { ...settings.weights, overlapScoreCredit: decode ? 0 : settings.weights.overlapScoreCredit },
    trackPrefillTokens: !decode,
    trackActiveBlocks: role !== 'prefill',
    sharedBlocksCountOnce: !decode,
  });
}
