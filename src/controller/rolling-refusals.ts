import { DynamoError } from '../base/errors.ts';
import type { RollingStep } from '../plan/plan-replacement.ts';
import type { StartRequest } from '../supervise/protocol.ts';

/** Throws `RECIPE_CHANGED` when a step leaves a gap. */
export function refuseLosses({ deployment }: StartRequest, steps: readonly RollingStep[]): void {
  const losses = steps.filter((step) => step.loses);
  if (losses.length === 0) return;
  throw new DynamoError('RECIPE_CHANGED', `${deployment} cannot be brought to this recipe without a gap`, {
    details: losses.map(({ what }) => what),
    hint: 'Add --replace to --rolling to do it all the same, or give the group another worker first: `dynamo scale`.',
  });
}

/** `RECIPE_CHANGED`: what makes it another deployment. */
export function cannotRoll({ deployment }: StartRequest, why: readonly string[]): DynamoError {
  return new DynamoError('RECIPE_CHANGED', `${deployment} cannot be brought to this recipe one process at a time`, {
    details: why.map((what) => `changed: ${what}`),
    hint: 'Use --replace without --rolling: it stops what runs first.',
  });
}
