import { createInterface } from 'node:readline/promises';
import { formatBytes } from '../base/bytes.ts';
import { DynamoError, ERRORS, messageOf, type SerializedError } from '../base/errors.ts';
import { placesOn } from '../deployment/places-on.ts';
import { type HostRemains, removeRemains, surveyHost } from '../hosts/clean-host.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { openTransport } from '../hosts/open-transport.ts';
import { didYouMean } from '../yaml/nearest.ts';
import type { HostsFlags } from './hosts-run.ts';
import { hostsOfFlags } from './hosts-run.ts';

interface Survey {
  entry: HostEntry;
  remains: HostRemains[];
  error: DynamoError | null;
}

/** `dynamo hosts clean`: looks at all hosts, asks once, removes. What runs is never touched. */
export async function cleanHosts(names: readonly string[], flags: HostsFlags & { yes?: boolean }): Promise<void> {
  const entries = chosen(hostsOfFlags(flags), names);
  const surveys = await Promise.all(entries.map(survey));
  const may = surveys.flatMap(({ remains }) => remains.filter((entry) => entry.keep === null));
  if (!flags.json) process.stdout.write(describe(surveys));
  if (may.length > 0 && !flags.yes && !(await confirmed(may, surveys)))
    return void process.stdout.write('nothing was removed\n');
  const results = await Promise.all(surveys.map(remove));
  if (flags.json) process.stdout.write(`${JSON.stringify({ schemaVersion: 1, hosts: results }, null, 2)}\n`);
  else process.stdout.write(results.map(resultLines).join(''));
  const failed = results.filter(({ error }) => error !== null);
  if (failed.length === 0) return;
  if (flags.json) process.exitCode = ERRORS.HOST_UNREACHABLE.exit;
  else
    throw new DynamoError('HOST_UNREACHABLE', `not cleaned: ${failed.map(({ name }) => name).join(', ')}`, {
      details: failed.flatMap(({ name, error }) => [`${name}: ${error?.message}`, `  ${error?.hint}`]),
      hint: 'Run `dynamo hosts clean` again when they can be reached.',
    });
}

function chosen(entries: readonly HostEntry[], names: readonly string[]): readonly HostEntry[] {
  if (names.length === 0) return entries;
  return names.map((name) => {
    const entry = entries.find((host) => host.name === name);
    const all = entries.map((host) => host.name);
    if (!entry)
      throw new DynamoError('USAGE', `there is no host ${name}${didYouMean(name, all)}`, {
        hint: `The hosts file has ${all.join(', ')}.`,
      });
    return entry;
  });
}

async function survey(entry: HostEntry): Promise<Survey> {
  try {
    await using transport = await openTransport(entry);
    return { entry, remains: await surveyHost(transport, await placesOn(entry, transport)), error: null };
  } catch (error) {
    return { entry, remains: [], error: asDynamoError(entry, error) };
  }
}

interface Result {
  name: string;
  removed: { kind: string; name: string; path: string; bytes: number }[];
  kept: { kind: string; name: string; path: string; reason: string }[];
  error: SerializedError | null;
}

async function remove({ entry, remains, error }: Survey): Promise<Result> {
  const kept = remains.flatMap(({ keep, kind, name, path }) =>
    keep === null ? [] : [{ kind, name, path, reason: keep }],
  );
  const result = { name: entry.name, removed: [], kept, error: error?.toJSON() ?? null };
  if (error || kept.length === remains.length) return result;
  try {
    await using transport = await openTransport(entry);
    const done = await removeRemains(transport, await placesOn(entry, transport), remains);
    return {
      ...result,
      removed: remains
        .filter(({ path }) => done.removed.includes(path))
        .map(({ kind, name, path, bytes }) => ({ kind, name, path, bytes })),
      kept: [
        ...kept,
        ...done.kept.map(({ path, reason }) => {
          const { kind, name } = remains.find((found) => found.path === path)!;
          return { kind, name, path, reason };
        }),
      ],
    };
  } catch (thrown) {
    return { ...result, error: asDynamoError(entry, thrown).toJSON() };
  }
}

async function confirmed(may: readonly HostRemains[], surveys: readonly Survey[]): Promise<boolean> {
  const hosts = surveys.filter(({ remains }) => remains.some((entry) => entry.keep === null));
  const what = `${may.length} folder${may.length === 1 ? '' : 's'} from ${hosts.map(({ entry }) => entry.name).join(', ')}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new DynamoError('USAGE', `refusing to remove ${what} without being asked to`, { hint: 'Add --yes.' });
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`Remove ${what} (${formatBytes(total(may))})? [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

function describe(surveys: readonly Survey[]): string {
  return surveys
    .flatMap(({ entry, remains, error }) => {
      if (error) return [`${entry.name}: ${error.message}`];
      if (remains.length === 0) return [`${entry.name}: nothing of dynamo is there`];
      return remains.map(
        ({ kind, name, bytes, keep }) =>
          `${entry.name}: ${kind} ${name}, ${formatBytes(bytes)}${keep === null ? '' : `; stays: ${keep}`}`,
      );
    })
    .map((line) => `${line}\n`)
    .join('');
}

function resultLines({ name, removed }: Result): string {
  return removed.length === 0 ? '' : `${name}: removed ${removed.length}, ${formatBytes(total(removed))}\n`;
}

const total = (entries: readonly { bytes: number }[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0);

function asDynamoError(entry: HostEntry, error: unknown): DynamoError {
  if (error instanceof DynamoError) return error;
  return new DynamoError('HOST_UNREACHABLE', `${entry.name}: ${messageOf(error)}`, { cause: error });
}
