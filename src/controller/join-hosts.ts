import type { AgentLink } from './agent-link.ts';
import { attachedLinks } from './attached-links.ts';
import type { ChangeGangOptions } from './change-gang-options.ts';
import { proveSharedFolder } from './prove-shared-folder.ts';

/**
 * Makes hosts that have no part in the deployment ready for what a change starts there: logged in to, kit and agent in place, the
 * store open, generation and commit record known. May be repeated. Throws why a host cannot take part; what was done there is taken back
 * by whoever takes the change back.
 *
 *   stranger ─▶ line, agent, attached ─▶ reserved: nothing yet ─▶ shared folder proven ─▶ store watched ─▶ committed
 */
export async function joinHosts(options: ChangeGangOptions): Promise<void> {
  const { record, change, links, signal, onEvent } = options;
  const strangers = await strangersOf(options);
  if (strangers.length === 0) return;
  const { plan, planHash, generation } = record;
  const joining: AgentLink[] = [];
  for (const joined of await Promise.allSettled(strangers.map((host) => links.add(host, signal)))) {
    if (joined.status === 'rejected') throw joined.reason;
    if (joined.value.status?.phase !== 'committed') joining.push(joined.value);
  }
  if (joining.length === 0) return;
  onEvent('host', `${joining.map(({ host }) => host).join(', ')} takes part from now on`);
  const { discovery, startLeaseMs } = plan;
  await all(joining, (link) =>
    link.request('reserve', { generation, planHash, startLeaseMs, discovery, processes: [] }),
  );
  const together = links.all.filter(({ host }) => plan.hosts.includes(host) || change.plan.hosts.includes(host));
  await proveSharedFolder(plan, together, record.planInput?.discoveryRoot ?? '');
  await all(joining, (link) => link.request('publish', {}));
  await all(joining, (link) => link.request('settle', { generation }));
}

/** Hosts on which the change starts something and nothing of the deployment runs. */
async function strangersOf(options: ChangeGangOptions): Promise<string[]> {
  const { record, change, links } = options;
  const inUse = new Set(record.plan.processes.map((spec) => spec.host));
  const strangers = new Set(change.added.map((spec) => spec.host).filter((host) => !inUse.has(host)));
  // A join that is taken up again: the agent may be being replaced.
  await attachedLinks(options, strangers);
  const isIn = (host: string) => links.all.some((link) => link.host === host && link.status?.phase === 'committed');
  return [...strangers].filter((host) => !isIn(host));
}

const all = (hosts: readonly AgentLink[], action: (link: AgentLink) => Promise<unknown>): Promise<unknown> =>
  Promise.all(hosts.map(action));
