import path from 'node:path';
import { isLoopback } from '../base/url-host.ts';
import { stateHome } from '../deployment/state-dir.ts';
import { FactsCache } from '../hosts/facts/facts-cache.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { hostProblems } from '../hosts/host-problems.ts';
import { inspectHosts } from '../hosts/inspect-hosts.ts';
import { openTransport } from '../hosts/open-transport.ts';

/** One that does not let us in by then gets nothing. */
const TIMEOUT_MS = 15_000;

/**
 * What a host is like that has no part in the deployment, so that no agent is there to ask: over SSH, as at a start. Its address stays what was
 * chosen among all hosts. Throws why it cannot take part.
 */
export async function askSpareHost(
  before: HostFacts,
  entries: readonly HostEntry[],
  signal: AbortSignal,
): Promise<HostFacts> {
  const here: HostEntry = { name: before.name, address: before.name, local: true, labels: {}, env: {} };
  const entry = entries.find(({ name }) => name === before.name) ?? here;
  if (isLoopback(before.address)) throw new Error(`other hosts cannot reach it at ${before.address}`);
  const [report] = await inspectHosts([entry], {
    open: openTransport,
    cache: new FactsCache(path.join(stateHome(), 'hosts')),
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  if (!report?.facts) throw report?.error ?? new Error('it says nothing');
  const { facts } = report;
  const [problem] = hostProblems([{ entry, facts }]).filter(({ severity }) => severity === 'error');
  if (problem) throw new Error(problem.message);
  const { gpus, listeningPorts, ephemeralPorts, bootId, gpuUsers, gpuLocks } = facts;
  return { ...before, gpus, listeningPorts, ephemeralPorts, bootId, gpuUsers, gpuLocks };
}
