import { readDeployment, readSnapshot } from '../deployment/local-view.ts';
import type { DeploymentRecord } from '../deployment/record.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { atLiveAddress } from '../plan/live-address.ts';

/**
 * A deployment and its processes with the addresses they have now: a restart may have taken other ports than the plan's.
 * Throws `NO_DEPLOYMENT` when there is none of that name.
 */
export async function liveProcesses(name: string): Promise<{ record: DeploymentRecord; processes: ProcessSpec[] }> {
  const record = readDeployment(name);
  const { processes: seen } = await readSnapshot(name);
  return { record, processes: record.plan.processes.map((spec) => atLiveAddress(spec, seen)) };
}
