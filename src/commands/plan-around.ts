import { DynamoError } from '../base/errors.ts';
import { type HostReport, unreachable } from '../hosts/inspect-hosts.ts';
import type { HeldGpus } from '../plan/held-gpus.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { type PlanInput, planLaunch } from '../plan/plan-launch.ts';
import type { Obstacle } from './obstacles.ts';

/** Why nothing can be started at the moment. */
export interface Blocked {
  /** What a start that does not wait ends with. */
  error: DynamoError;
  obstacles: Obstacle[];
}

/** Plans without the GPUs that others have. Throws as `planLaunch`, also where GPUs would be short if all were free. */
export function planAround(input: PlanInput, held: HeldGpus): { plan: LaunchPlan } | { blocked: Blocked } {
  try {
    return { plan: planLaunch({ ...input, heldGpus: held }) };
  } catch (error) {
    if (!(error instanceof DynamoError) || error.code !== 'GPU_UNAVAILABLE') throw error;
    const obstacles = obstaclesOf(held);
    if (obstacles.length === 0) throw error;
    planLaunch(input);
    return { blocked: { error: withHint(error), obstacles } };
  }
}

const withHint = (error: DynamoError): DynamoError =>
  new DynamoError(error.code, error.message, {
    details: error.details,
    hint: '`dynamo serve --wait` starts it as soon as they are free.',
    cause: error,
  });

/** One a host and holder: a deployment, whichever of its processes have the GPUs. */
function obstaclesOf(held: HeldGpus): Obstacle[] {
  const holder = (why: string) => why.replace(/^(held by .*) \([^)]*\)$/, '$1');
  return Object.entries(held).flatMap(([host, gpus]) =>
    [...Map.groupBy(Object.entries(gpus), ([, why]) => holder(why))].map(([why, entries]) => ({
      host,
      gpus: entries.map(([index]) => Number(index)),
      why,
    })),
  );
}

/** The hosts that did not answer; undefined when all did. */
export function hostsAway(reports: readonly HostReport[]): Blocked | undefined {
  const error = unreachable(reports);
  if (!error) return undefined;
  const obstacles = reports.flatMap((report) =>
    report.error ? [{ host: report.entry.name, gpus: [], why: report.error.message }] : [],
  );
  return { error, obstacles };
}
