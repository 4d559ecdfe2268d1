import { pause } from '../base/abort.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { readDeployment, theOnlyDeployment } from '../deployment/local-view.ts';
import { openDeploymentLogs } from '../deployment/logs/deployment-logs.ts';
import { type LoggedLine, LogHistory } from '../deployment/logs/log-history.ts';
import { mergeLines } from '../deployment/logs/merge-lines.ts';
import { listDeploymentNames } from '../deployment/state-dir.ts';
import { type LogQuery, matchesQuery, readQuery } from './log-query.ts';
import { type Print, printJson, printText } from './print-lines.ts';

const FOLLOW_MS = 150;
/** Lines printed in one write. */
const BATCH = 500;

export interface LogFlags {
  follow?: boolean;
  tail?: string;
  since?: string;
  until?: string;
  grep?: string;
  timestamps?: boolean;
  json?: boolean;
}

/** Prints lines of all logs in order of arrival, and with `follow` whatever is appended. */
export async function runLogs(name: string | undefined, wanted: readonly string[], flags: LogFlags): Promise<void> {
  const query = readQuery(flags, Date.now());
  const { deployment, processes } = chooseDeployment(name, wanted);
  await using opened = await openDeploymentLogs(readDeployment(deployment));
  for (const { host, reason } of opened.unreachable)
    process.stderr.write(`warning: logs on ${host} are not shown: ${messageOf(reason)}\n`);
  const names = chooseLogs([...opened.logs.keys()], processes);
  const print = flags.json
    ? printJson
    : printText({
        width: names.length === 1 ? 0 : Math.max(...names.map((entry) => entry.length)),
        timestamps: flags.timestamps ?? false,
        terminal: process.stdout.isTTY ?? false,
      });
  const histories = names.map(
    (entry) => new LogHistory(opened.logs.get(entry)!, entry, { follows: flags.follow ?? false }),
  );
  let batch: LoggedLine[] = [];
  for await (const line of mergeLines(histories.map((history) => past(history, query)))) {
    batch.push(line);
    if (batch.length < BATCH) continue;
    await print(batch);
    batch = [];
  }
  await print(batch);
  if (flags.follow) await follow(histories, query, print);
}

/** A first word that names no deployment is a process of the only one that is up. */
function chooseDeployment(
  name: string | undefined,
  processes: readonly string[],
): { deployment: string; processes: readonly string[] } {
  if (name === undefined) return { deployment: theOnlyDeployment(), processes };
  if (!listDeploymentNames().includes(name)) {
    try {
      return { deployment: theOnlyDeployment(), processes: [name, ...processes] };
    } catch (error) {
      if (!(error instanceof DynamoError)) throw error; // none, or several: then it was meant to be a deployment
    }
  }
  return { deployment: name, processes };
}

async function follow(histories: readonly LogHistory[], query: LogQuery, print: Print): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort());
  const left = new Set(histories);
  while (!ended.signal.aborted && left.size > 0) {
    const fresh: LoggedLine[] = [];
    const arrival = { at: Date.now(), from: null };
    for (const history of left) {
      for (const line of await nextLines(history, () => left.delete(history))) {
        const timed = { ...line, arrival: line.arrival ?? arrival };
        if (matchesQuery(timed, query)) fresh.push(timed);
      }
    }
    await print(fresh);
    await pause(FOLLOW_MS, ended.signal);
  }
}

/** A host that is lost takes its logs with it, not those of the others. */
async function nextLines(history: LogHistory, onLost: () => void): Promise<LoggedLine[]> {
  try {
    return await history.next();
  } catch (error) {
    process.stderr.write(`warning: ${history.process} is no longer followed: ${messageOf(error)}\n`);
    onLost();
    return [];
  }
}

/** What one log has to show of its past. */
async function* past(history: LogHistory, query: LogQuery): AsyncGenerator<LoggedLine> {
  if (query.tail !== undefined && !query.filters) {
    yield* await history.tail(query.tail);
    return;
  }
  const newest: LoggedLine[] = [];
  for await (const line of history.lines(query.since)) {
    if (!matchesQuery(line, query)) continue;
    if (query.tail === undefined) {
      yield line;
      continue;
    }
    newest.push(line);
    if (newest.length > 2 * query.tail) newest.splice(0, newest.length - query.tail);
  }
  if (query.tail) yield* newest.slice(-query.tail);
}

function chooseLogs(all: readonly string[], wanted: readonly string[]): string[] {
  const present = all.toSorted();
  const unknown = wanted.filter((name) => !present.includes(name));
  if (unknown.length > 0) {
    throw new DynamoError('USAGE', `no log of ${unknown.join(', ')}`, {
      hint: `There are logs of ${present.join(', ')}.`,
    });
  }
  // The supervisors' own logs only when asked for.
  if (wanted.length > 0) return [...wanted];
  return present.filter((name) => name !== 'controller' && !name.startsWith('agent-'));
}
