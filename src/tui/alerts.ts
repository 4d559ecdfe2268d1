import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { describeSuspicion } from '../deployment/suspicion.ts';
import { rdmaDown } from './text/link-line.ts';
import type { Tone } from './theme.ts';

/** Alerts that are shown; of the others their number. */
export const MOST_ALERTS = 2;

/** Rows the header takes for a state. */
export const headerRows = (snapshot: DeploymentSnapshot): number =>
  2 + Math.min(MOST_ALERTS, alertsOf(snapshot).length);

export interface Alert {
  text: string;
  tone: Tone;
}

/** What must not be overlooked, the worst first. Pure. */
export function alertsOf(snapshot: DeploymentSnapshot): Alert[] {
  const alerts: Alert[] = [];
  const isUp = snapshot.state !== 'stopped' && snapshot.state !== 'failed';
  for (const { prefill, decode, state, detail } of snapshot.pairs)
    if (state === 'failed') alerts.push({ text: `KV transfer ${prefill} → ${decode} failed: ${detail}`, tone: 'bad' });
  if (snapshot.unattended)
    alerts.push({ text: 'No controller runs: serving goes on, restarts too. Press a to adopt it.', tone: 'warn' });
  for (const { host, state, storeProblem } of snapshot.agents) {
    if (storeProblem)
      alerts.push({ text: `The discovery store is away for ${host}: ${storeProblem}. Serving goes on.`, tone: 'warn' });
    if (state === 'in-doubt')
      alerts.push({ text: `The agent of ${host} cannot read the commit record and keeps everything.`, tone: 'warn' });
    if (state === 'lost' && isUp && snapshot.state !== 'starting')
      alerts.push({
        text: `No agent answers on ${host}: what runs there goes on, nothing is restarted.`,
        tone: 'warn',
      });
  }
  if (isUp)
    for (const one of snapshot.suspicions ?? []) alerts.push({ text: `${describeSuspicion(one)}.`, tone: 'warn' });
  if (snapshot.state === 'degraded') alerts.push({ text: notReady(snapshot), tone: 'warn' });
  for (const { name, links } of snapshot.hosts ?? []) {
    const down = rdmaDown(links);
    if (down.length > 0)
      alerts.push({ text: `RDMA ${down.join(', ')} of ${name} not up: KV transfer goes slower ways.`, tone: 'warn' });
  }
  if (snapshot.change) alerts.push({ text: `Changing: ${snapshot.change}`, tone: 'accent' });
  const scaled = (snapshot.scaled ?? []).map(({ group, from, to }) => `${group} ${to} (recipe ${from})`);
  if (isUp && scaled.length > 0) alerts.push({ text: `Scaled: ${scaled.join(', ')}`, tone: 'dim' });
  if (snapshot.state === 'stopping') alerts.push({ text: 'Stopping: frontends drain first.', tone: 'warn' });
  if (snapshot.state === 'stopped') alerts.push({ text: 'It is stopped; nothing is left.', tone: 'dim' });
  return alerts;
}

const MOST_NAMES = 3;

/** `Not ready: decode-1 starting, decode-2 backoff`. */
function notReady({ processes }: DeploymentSnapshot): string {
  const names = processes.flatMap(({ name, state }) => (state === 'ready' ? [] : [`${name} ${state}`]));
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `Not ready: ${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}
