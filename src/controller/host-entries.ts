import type { DeploymentRecord } from '../deployment/record.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { StartRequest } from '../supervise/protocol.ts';

type Named = Pick<StartRequest, 'hosts' | 'spareHosts'>;

/**
 * How every host that a deployment may use is reached; of two entries for one host the first counts. Whoever starts it anew, or brings
 * it to another recipe, may have a better address than it was started with.
 */
export function knownHosts(
  record: Pick<DeploymentRecord, 'hosts' | 'spareHosts' | 'rolling'> | undefined,
  ...requests: readonly (Named | undefined)[]
): HostEntry[] {
  const all = [...requests, record?.rolling?.request, record].flatMap((from) => [
    ...(from?.hosts ?? []),
    ...(from?.spareHosts ?? []),
  ]);
  return all.filter(({ name }, index) => all.findIndex((other) => other.name === name) === index);
}

/** The same hosts, told apart by whether they have a part in the deployment. */
export function sortHosts(
  entries: readonly HostEntry[],
  inUse: readonly string[],
): Required<Pick<DeploymentRecord, 'hosts' | 'spareHosts'>> {
  return {
    hosts: entries.filter(({ name }) => inUse.includes(name)),
    spareHosts: entries.filter(({ name }) => !inUse.includes(name)),
  };
}
