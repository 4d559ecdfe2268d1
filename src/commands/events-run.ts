import { once } from 'node:events';
import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { readDeployment, theOnlyDeployment } from '../deployment/local-view.ts';
import { LogReader } from '../deployment/log-reader.ts';
import { readRecord } from '../deployment/record.ts';
import { deploymentDir, deploymentPaths } from '../deployment/state-dir.ts';
import { parseEvent } from '../supervise/event-log.ts';
import type { EventRecord } from '../supervise/protocol.ts';
import { cleanText } from '../tui/text/clean-text.ts';
import { parseTime } from './log-query.ts';

export interface EventsFlags {
  follow?: boolean;
  json?: boolean;
  since?: string;
  tail?: string;
}

const DEFAULT_TAIL = 50;
const FOLLOW_MS = 150;

/** Prints the events of a deployment, and with `follow` those to come, until it is stopped or a signal comes. */
export async function runEvents(name: string | undefined, flags: EventsFlags): Promise<void> {
  const since = flags.since === undefined ? undefined : parseTime('--since', flags.since, Date.now());
  const tail = tailOf(flags);
  const deployment = name ?? theOnlyDeployment();
  readDeployment(deployment);
  const paths = deploymentPaths(deploymentDir(deployment));
  const reader = new LogReader(paths.events);
  const lines = readAll(reader).filter((line) => since === undefined || Date.parse(line.event.at) >= since);
  await print(tail === undefined ? lines : tail === 0 ? [] : lines.slice(-tail), flags);
  if (!flags.follow) return;
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort());
  while (!ended.signal.aborted) {
    // Looked at before the last events are read: they are all there by then.
    const phase = readRecord(paths.record)?.phase;
    const news = readAll(reader);
    await print(news, flags);
    if (news.length === 0 && (phase === 'stopped' || phase === 'failed')) return;
    await pause(FOLLOW_MS, ended.signal);
  }
}

function tailOf({ tail, since }: EventsFlags): number | undefined {
  if (tail === undefined) return since === undefined ? DEFAULT_TAIL : undefined;
  if (/^\d{1,9}$/.test(tail)) return Number(tail);
  throw new DynamoError('USAGE', `--tail wants a number of events, not ${tail}`);
}

interface EventLine {
  text: string;
  event: EventRecord;
}

function readAll(reader: LogReader): EventLine[] {
  const lines: EventLine[] = [];
  for (let news = reader.next(); news.length > 0; news = reader.next()) lines.push(...news.flatMap(parseLine));
  return lines;
}

function parseLine(text: string): EventLine[] {
  const event = parseEvent(text);
  return event ? [{ text, event }] : [];
}

async function print(lines: readonly EventLine[], { json }: EventsFlags): Promise<void> {
  if (lines.length === 0) return;
  const text = lines.map((line) => (json ? line.text : describe(line.event))).join('\n');
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
}

function describe({ at, source, process: name, type, message }: EventRecord): string {
  return cleanText(`${at}  ${(name ?? source).padEnd(14)}  ${type.padEnd(11)}  ${message}`);
}
