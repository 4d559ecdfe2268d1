import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pause } from '../base/abort.ts';
import { DynamoError } from '../base/errors.ts';
import { readDeployment, theOnlyDeployment } from '../deployment/local-view.ts';
import { LogReader } from '../deployment/log-reader.ts';
import { deploymentDir, deploymentPaths } from '../deployment/state-dir.ts';

const FOLLOW_MS = 150;

/** Prints the newest lines of each log, and with `follow` whatever is appended, each line led by its process. */
export async function runLogs(
  name: string | undefined,
  wanted: readonly string[],
  flags: { follow?: boolean; tail: string },
): Promise<void> {
  const tail = Number(flags.tail);
  if (!Number.isInteger(tail) || tail < 0)
    throw new DynamoError('USAGE', `--tail wants a number of lines, not ${flags.tail}`);
  const deployment = name ?? theOnlyDeployment();
  readDeployment(deployment);
  const folder = path.dirname(deploymentPaths(deploymentDir(deployment)).controllerLog);
  const names = chooseLogs(folder, wanted);
  const width = Math.max(...names.map((entry) => entry.length));
  const print = (process: string, lines: readonly string[]) =>
    writeLines(lines.map((line) => (names.length === 1 ? line : `${process.padEnd(width)} | ${line}`)));
  const readers = names.map((process) => ({ process, reader: new LogReader(path.join(folder, `${process}.log`)) }));
  for (const { process, reader } of readers) print(process, reader.begin(tail));
  if (!flags.follow) return;
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort());
  while (!ended.signal.aborted) {
    for (const { process, reader } of readers) print(process, reader.next());
    await pause(FOLLOW_MS, ended.signal);
  }
}

function chooseLogs(folder: string, wanted: readonly string[]): string[] {
  const present = readdirSync(folder).flatMap((file) => (file.endsWith('.log') ? [file.slice(0, -4)] : []));
  const unknown = wanted.filter((name) => !present.includes(name));
  if (unknown.length > 0) {
    throw new DynamoError('USAGE', `no log of ${unknown.join(', ')}`, {
      hint: `There are logs of ${present.join(', ')}.`,
    });
  }
  // The supervisors' own logs only when asked for.
  return wanted.length > 0
    ? [...wanted]
    : present.filter((name) => name !== 'controller' && !name.startsWith('agent-')).sort();
}

function writeLines(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}
