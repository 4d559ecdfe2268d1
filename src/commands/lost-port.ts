import { DynamoError } from '../base/errors.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';

/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
export const PORT_RETRIES = 3;

/** Whether a start failed for a port that dynamo chose; only those may be chosen anew. Pure. */
export function isLostPort(error: unknown, plan: LaunchPlan): boolean {
  if (!(error instanceof DynamoError) || error.code !== 'PORT_IN_USE') return false;
  const fixed = plan.processes.flatMap((spec) => spec.fixedPorts.map((purpose) => String(spec.ports[purpose])));
  return !fixed.some((port) => new RegExp(`\\b${port}\\b`).test(error.message));
}

export const portsOf = (plan: LaunchPlan): number[] => plan.processes.flatMap((spec) => Object.values(spec.ports));
