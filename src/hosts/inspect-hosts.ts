import { DynamoError, messageOf } from '../base/errors.ts';
import { collectFacts } from './facts/collect-facts.ts';
import { chooseDataAddresses } from './facts/data-address.ts';
import type { FactsCache } from './facts/facts-cache.ts';
import type { HostEntry } from './host-entry.ts';
import type { HostFacts } from './host-facts.ts';
import type { HostTransport } from './host-transport.ts';

/** What became of asking one host. */
export interface HostReport {
  entry: HostEntry;
  /** Null when it could not be asked; `error` says why then. `address` is its data-plane address. */
  facts: HostFacts | null;
  error: DynamoError | null;
  /** Why its data-plane address is what it is; null without facts. */
  addressReason: string | null;
  /** Milliseconds from the first byte to the last. */
  tookMs: number;
}

export interface InspectOptions {
  open: (entry: HostEntry, signal?: AbortSignal) => Promise<HostTransport>;
  cache: FactsCache;
  /** Programs to look for. */
  commands?: readonly string[];
  signal?: AbortSignal;
  /** Called as each host has answered, or not. */
  onDone?: (report: HostReport) => void;
}

/** Asks all hosts at once. Never rejects for a host's sake: each report says what happened. Reports are in the order of the hosts. */
export async function inspectHosts(entries: readonly HostEntry[], options: InspectOptions): Promise<HostReport[]> {
  const reports = await Promise.all(entries.map((entry) => inspect(entry, options)));
  const asked = reports.flatMap(({ entry, facts }) => (facts ? [{ entry, facts }] : []));
  const addresses = chooseDataAddresses(asked);
  return reports.map((report) => {
    const chosen = report.facts && addresses.get(report.entry.name);
    if (!report.facts || !chosen) return report;
    return { ...report, facts: { ...report.facts, address: chosen.address }, addressReason: chosen.reason };
  });
}

async function inspect(entry: HostEntry, options: InspectOptions): Promise<HostReport> {
  const began = performance.now();
  const report = (found: { facts: HostFacts } | { error: DynamoError }): HostReport => {
    const done = {
      entry,
      facts: null,
      error: null,
      addressReason: null,
      ...found,
      tookMs: Math.round(performance.now() - began),
    };
    options.onDone?.(done);
    return done;
  };
  try {
    await using transport = await options.open(entry, options.signal);
    const facts = await collectFacts(transport, entry, {
      known: options.cache.read(entry),
      ...(options.commands && { commands: options.commands }),
      ...(options.signal && { signal: options.signal }),
    });
    options.cache.write(entry, facts);
    return report({ facts });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof DynamoError) return report({ error });
    return report({
      error: new DynamoError('HOST_UNREACHABLE', `${entry.name}: ${messageOf(error)}`, { cause: error }),
    });
  }
}

/** Facts of hosts that must all answer. Throws `HOST_UNREACHABLE` with every host that does not. */
export function factsOfAll(reports: readonly HostReport[]): HostFacts[] {
  const error = unreachable(reports);
  if (error) throw error;
  return reports.flatMap(({ facts }) => facts ?? []);
}

/** `HOST_UNREACHABLE` with every host that has not answered; undefined when all have. */
export function unreachable(reports: readonly HostReport[]): DynamoError | undefined {
  const failed = reports.flatMap(({ error }) => error ?? []);
  if (failed.length <= 1) return failed[0];
  return new DynamoError('HOST_UNREACHABLE', `${failed.length} of ${reports.length} hosts cannot be used`, {
    details: failed.flatMap((error) => [error.message, `  ${error.hint}`]),
    hint: '`dynamo hosts check` shows all of them.',
  });
}
