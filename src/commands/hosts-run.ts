import { existsSync } from 'node:fs';
import path from 'node:path';
import { DynamoError, ERRORS } from '../base/errors.ts';
import { stateHome } from '../deployment/state-dir.ts';
import { chooseDataAddresses } from '../hosts/facts/data-address.ts';
import { FactsCache } from '../hosts/facts/facts-cache.ts';
import { type HostEntry, LOCAL_HOST } from '../hosts/host-entry.ts';
import { hostProblems } from '../hosts/host-problems.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import { factsOfAll, type HostReport, inspectHosts } from '../hosts/inspect-hosts.ts';
import { openTransport } from '../hosts/open-transport.ts';
import { didYouMean } from '../yaml/nearest.ts';
import { engineCommands } from './engine-commands.ts';
import { renderCheck, renderHost } from './hosts-text.ts';

export interface HostsFlags {
  hosts?: string;
  json?: boolean;
}

const DEFAULT_FILE = 'hosts.yaml';
/** A host that takes longer is named, again and again. */
const PATIENCE_MS = 5_000;

/** Hosts of `--hosts`, else of `hosts.yaml` here, else this machine. */
export function hostsOfFlags(flags: HostsFlags): HostEntry[] {
  const file = flags.hosts ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  return file === undefined ? [LOCAL_HOST] : loadHosts(file);
}

/** Where the last facts of each host lie. */
export function factsCache(env: NodeJS.ProcessEnv = process.env): FactsCache {
  return new FactsCache(path.join(stateHome(env), 'hosts'));
}

/** `dynamo hosts check`. Ends with the exit status of `HOST_UNREACHABLE` when a host cannot be used. */
export async function checkHosts(flags: HostsFlags): Promise<void> {
  const entries = hostsOfFlags(flags);
  const reports = await ask(entries);
  const problems = hostProblems(reports.flatMap(({ entry, facts }) => (facts ? [{ entry, facts }] : [])));
  const unusable = new Set([
    ...reports.flatMap(({ entry, error }) => (error ? [entry.name] : [])),
    ...problems.flatMap(({ severity, hosts }) => (severity === 'error' ? hosts : [])),
  ]);
  if (flags.json) {
    const hosts = reports.map(({ entry, facts, error, addressReason, tookMs }) => ({
      name: entry.name,
      address: entry.address,
      usable: !unusable.has(entry.name),
      error: error?.toJSON() ?? null,
      tookMs,
      dataAddress: facts?.address ?? null,
      dataAddressReason: addressReason,
      facts,
    }));
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, hosts, problems }, null, 2)}\n`);
    if (unusable.size > 0) process.exitCode = ERRORS.HOST_UNREACHABLE.exit;
    return;
  }
  process.stdout.write(renderCheck(reports, problems));
  if (unusable.size > 0)
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `${unusable.size} of ${entries.length} hosts cannot be used: ${[...unusable].join(', ')}`,
      { hint: 'Do what stands after `fix:` above, then check again.' },
    );
}

/** `dynamo hosts show`. */
export async function showHost(name: string, flags: HostsFlags & { cached?: boolean }): Promise<void> {
  const entries = hostsOfFlags(flags);
  const entry = entries.find((host) => host.name === name) ?? strangerTo(entries, name, flags);
  const others = entries.filter((host) => host !== entry);
  const report = flags.cached ? cached(entry) : await askOne(entry, others);
  const [facts] = factsOfAll([report]);
  process.stdout.write(flags.json ? `${JSON.stringify(facts, null, 2)}\n` : renderHost(facts!, report.addressReason));
}

/** A host that no file names: its address may be typed. */
function strangerTo(entries: readonly HostEntry[], name: string, flags: HostsFlags): HostEntry {
  const names = entries.map((entry) => entry.name);
  if (flags.hosts !== undefined || !/^[a-zA-Z0-9][a-zA-Z0-9._:-]*$/.test(name))
    throw new DynamoError('USAGE', `there is no host ${name}${didYouMean(name, names)}`, {
      hint: `The hosts file has ${names.join(', ')}.`,
    });
  return { name: name.replaceAll(':', '-'), address: name, local: false, labels: {}, env: {} };
}

/** The data-plane address depends on the other hosts: what was known of them last is enough for that. */
async function askOne(entry: HostEntry, others: readonly HostEntry[]): Promise<HostReport> {
  const [report] = await ask([entry]);
  return withAddress(report!, others);
}

function withAddress(report: HostReport, others: readonly HostEntry[]): HostReport {
  const { entry, facts } = report;
  if (!facts) return report;
  const cache = factsCache();
  const known = others.flatMap((other) => {
    const kept = cache.read(other);
    return kept ? [{ entry: other, facts: kept }] : [];
  });
  const chosen = chooseDataAddresses([{ entry, facts }, ...known]).get(entry.name);
  if (!chosen) return report;
  return { ...report, facts: { ...facts, address: chosen.address }, addressReason: chosen.reason };
}

function cached(entry: HostEntry): HostReport {
  const facts = factsCache().read(entry);
  if (!facts)
    throw new DynamoError('USAGE', `${entry.name} was never asked`, { hint: 'Leave --cached out to ask it now.' });
  return { entry, facts, error: null, addressReason: `as of ${facts.takenAt ?? 'an unknown time'}`, tookMs: 0 };
}

async function ask(entries: readonly HostEntry[]): Promise<HostReport[]> {
  const waiting = new Set(entries.map((entry) => entry.name));
  const say = () => void process.stderr.write(`waiting for ${[...waiting].join(', ')}\n`);
  const patience = setInterval(say, PATIENCE_MS);
  try {
    return await inspectHosts(entries, {
      open: openTransport,
      cache: factsCache(),
      commands: engineCommands(),
      onDone: ({ entry }) => waiting.delete(entry.name),
    });
  } finally {
    clearInterval(patience);
  }
}
