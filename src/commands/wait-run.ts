import { formatDuration, parseDuration } from '../base/duration.ts';
import { DynamoError, type ErrorCode } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { readSnapshot, theOnlyDeployment } from '../deployment/local-view.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { fetchText } from '../supervise/probes.ts';
import type { WaitGoal } from './wait-goals.ts';

export interface WaitFlags {
  timeout: string;
  json?: boolean;
}

const LOOK_MS = 100;
const SLOWEST_LOOK_MS = 1_000;
/** What a wait that took too long is called: the same as where that is the command's own failure. */
const LATE: Record<WaitGoal, ErrorCode> = { ready: 'NOT_READY', stopped: 'STOP_INCOMPLETE', idle: 'GOAL_MISSED' };

/** Returns when the deployment is so. Throws what made it fail, `NO_DEPLOYMENT` when it was stopped instead, or that it took too long. */
export async function runWait(goal: WaitGoal, name: string | undefined, flags: WaitFlags): Promise<void> {
  const timeoutMs = parseDuration(flags.timeout);
  if (timeoutMs === undefined) throw new DynamoError('USAGE', `--timeout wants a duration, not ${flags.timeout}`);
  const deployment = name ?? theOnlyDeployment();
  const left = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => left.abort());
  let last = 'it is not there';
  // One that was stopped before is about to be started again; one that stops now will not come.
  let wasUp = false;
  const found = await until(
    async () => {
      const snapshot = await snapshotOf(deployment);
      if (!snapshot) return undefined;
      if (goal === 'stopped') {
        last = snapshot.state;
        return snapshot.state === 'stopped' || snapshot.state === 'failed' ? snapshot : undefined;
      }
      if (snapshot.state === 'failed' && snapshot.error) throw DynamoError.from(snapshot.error);
      if (snapshot.state === 'stopped' && wasUp) throw new DynamoError('NO_DEPLOYMENT', `${deployment} was stopped`);
      wasUp ||= snapshot.state !== 'stopped';
      last = await shortOf(goal, snapshot, left.signal);
      return last === '' ? snapshot : undefined;
    },
    { deadlineMs: timeoutMs, intervalMs: LOOK_MS, maxIntervalMs: SLOWEST_LOOK_MS, signal: left.signal },
  ).catch((error: unknown) => {
    if (left.signal.aborted) return null;
    throw error;
  });
  if (found === null) return;
  if (!found) {
    throw new DynamoError(LATE[goal], `${deployment} was not ${goal} within ${formatDuration(timeoutMs)}: ${last}`, {
      hint: '`dynamo status` shows what it is waiting for.',
    });
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else process.stdout.write(`${deployment} is ${goal === 'stopped' ? found.state : goal}\n`);
}

async function snapshotOf(deployment: string): Promise<DeploymentSnapshot | undefined> {
  try {
    return await readSnapshot(deployment);
  } catch (error) {
    if (error instanceof DynamoError && error.code === 'NO_DEPLOYMENT') return undefined;
    throw error;
  }
}

/** What it is short of; empty when it is as wanted. */
async function shortOf(goal: WaitGoal, snapshot: DeploymentSnapshot, signal: AbortSignal): Promise<string> {
  if (snapshot.state !== 'ready') {
    const waiting = snapshot.processes.find((process) => process.state !== 'ready');
    return `it is ${snapshot.state}${waiting ? `; ${waiting.name} is ${waiting.state}` : ''}`;
  }
  if (snapshot.change) return `it is changing: ${snapshot.change}`;
  if (goal === 'ready') return '';
  const frontends = snapshot.processes.filter(({ role }) => role === 'frontend');
  const counts = await Promise.all(frontends.map(({ url }) => inFlight(url, signal)));
  const running = counts.reduce((sum, count) => sum + count, 0);
  return running === 0 ? '' : `${running} ${running === 1 ? 'request is' : 'requests are'} in flight`;
}

async function inFlight(url: string, signal: AbortSignal): Promise<number> {
  const { body } = await fetchText(`${url}/health`, { timeoutMs: 5_000, signal });
  const { instances } = JSON.parse(body.toString()) as { instances: { inFlight: number }[] };
  return instances.reduce((sum, entry) => sum + entry.inFlight, 0);
}
