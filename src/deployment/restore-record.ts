import { writeFileAtomic } from '../base/atomic-file.ts';
import type { LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import { ownerFile } from './owner.ts';
import { type NewDeploymentRecord, writeRecord } from './record.ts';
import type { FoundPart } from './search-hosts.ts';
import { deploymentPaths, makePrivateDir } from './state-dir.ts';

/**
 * Makes the folder of a deployment that this machine does not know (any more) from what its agents wrote on their hosts: enough for a
 * controller to stop it in order, as its owner and with a higher epoch than any before.
 */
export function restoreRecord(name: string, dir: string, parts: readonly FoundPart[]): void {
  const paths = deploymentPaths(dir);
  makePrivateDir(dir);
  const owner = parts.find((part) => part.owner !== null)?.owner;
  if (owner) writeFileAtomic(ownerFile(dir), JSON.stringify(owner));
  writeFileAtomic(paths.epoch, JSON.stringify(Math.max(...parts.map(({ epoch }) => epoch))));
  writeRecord(paths.record, recordOf(name, parts));
}

/** Pure. `stopping`: nothing of it is to be started again. */
export function recordOf(name: string, parts: readonly FoundPart[]): NewDeploymentRecord {
  const newest = parts.reduce((best, part) => (part.journal.generation > best.journal.generation ? part : best));
  const { generation, planHash } = newest.journal;
  const hosts = parts.map(({ entry }) => entry);
  return {
    name,
    recipeFile: `(unknown: found on ${hosts.map((entry) => entry.name).join(', ')})`,
    ...{ recipeHash: '', recipeText: '', planHash, generation },
    plan: planOf(name, parts, newest),
    phase: 'stopping',
    startedAt: new Date().toISOString(),
    error: null,
    hosts: hosts.filter((entry) => !entry.local),
  };
}

function planOf(name: string, parts: readonly FoundPart[], newest: FoundPart): LaunchPlan {
  const processes: ProcessSpec[] = parts.flatMap(({ journal }) => journal.processes.map(({ spec }) => spec));
  return {
    deployment: name,
    models: [...new Set(processes.flatMap(({ model }) => model ?? []))],
    hosts: parts.map(({ entry }) => entry.name),
    processes,
    stages: [processes.map((spec) => spec.name)],
    pairs: [],
    endpoint: processes.find(({ role }) => role === 'frontend')?.url ?? '',
    discovery: newest.journal.discovery ?? { backend: 'file', ttlMs: 10_000 },
    startLeaseMs: newest.journal.startLeaseMs,
    warnings: [],
  };
}
