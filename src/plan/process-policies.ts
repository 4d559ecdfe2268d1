import type { RestartRecipe, WorkerGroupRecipe } from '../recipe/recipe.ts';
import type { DrainSpec, LivenessSpec, RestartSpec } from './launch-plan.ts';

export function livenessOf(written: WorkerGroupRecipe['liveness'], defaults: LivenessSpec): LivenessSpec | null {
  if (written === false) return null;
  return {
    check: defaults.check,
    periodMs: written?.period ?? defaults.periodMs,
    timeoutMs: written?.timeout ?? defaults.timeoutMs,
    failures: written?.failures ?? defaults.failures,
  };
}

export function restartOf(written: RestartRecipe): RestartSpec {
  return {
    policy: written.policy,
    backoff: {
      initialMs: written.initialBackoff,
      maxMs: Math.max(written.initialBackoff, written.maxBackoff),
      factor: 2,
    },
    resetAfterMs: written.resetAfter,
    maxRestarts: written.maxRestarts,
  };
}

export function drainOf(written: WorkerGroupRecipe['drain'], defaults: DrainSpec): DrainSpec {
  return {
    inFlightMs: written?.inFlight ?? defaults.inFlightMs,
    killAfterMs: written?.killAfter ?? defaults.killAfterMs,
  };
}
