import type { LaunchPlan } from '../plan/launch-plan.ts';

/** Ports chosen by dynamo that were taken between plan and start: plan anew this often. */
export const PORT_RETRIES = 3;

export const portsOf = (plan: LaunchPlan): number[] => plan.processes.flatMap((spec) => Object.values(spec.ports));
