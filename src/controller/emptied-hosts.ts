import { messageOf } from '../base/errors.ts';
import type { DeploymentRecord } from '../deployment/record.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentLinks } from './agent-links.ts';
import type { RecordKeeper } from './record-keeper.ts';

/** Hosts that the deployment has been on and that have nothing to run for it any more. Pure. */
export function emptiedHosts({
  plan,
  change,
  rolling,
}: Pick<DeploymentRecord, 'plan' | 'change' | 'rolling'>): string[] {
  const needed = new Set(
    [...plan.processes, ...(change?.added ?? []), ...(rolling?.out?.specs ?? [])].map((spec) => spec.host),
  );
  return plan.hosts.filter((host) => !needed.has(host));
}

/**
 * Ends the agents of hosts that have nothing to run any more. One that cannot be reached stays in the plan, so that a stop asks there,
 * too, until its agent has been told.
 */
export async function letGoOfEmptied(parts: {
  record: RecordKeeper;
  links: AgentLinks;
  events: EventLog;
}): Promise<void> {
  const { record, links, events } = parts;
  for (const host of emptiedHosts(record.current)) {
    const link = links.all.find((entry) => entry.host === host);
    if (link && !link.status) continue;
    try {
      if (link) {
        const { leftPids } = await link.request('stop', { force: false });
        if (leftPids.length > 0) throw new Error(`could not be ended: ${leftPids.join(', ')}`);
        links.remove(host);
        await link.leave();
        link.close();
      }
    } catch (error) {
      events.write('host', `${host} has nothing to run any more, and could not be told so: ${messageOf(error)}`);
      continue;
    }
    const { plan } = record.current;
    record.change({ plan: { ...plan, hosts: plan.hosts.filter((entry) => entry !== host) } });
    events.write('host', `${host} has nothing to run any more: its agent has ended`);
  }
}
