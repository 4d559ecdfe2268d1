import { formatBytes } from '../base/bytes.ts';
import { DynamoError } from '../base/errors.ts';
import { formatPath } from '../yaml/problem.ts';
import type { WorkerDraft } from './draft-workers.ts';
import type { WorkerPlace } from './place-workers.ts';
import type { PlanHost } from './plan-hosts.ts';

/**
 * Throws `RECIPE_INVALID` where the workers of a host would keep more KV cache in its memory (`kvOffload.cpu`) than it has. Engines
 * find out late, after they have loaded their weights, and each for itself only.
 */
export function checkHostMemory(drafts: readonly WorkerDraft[], places: ReadonlyMap<string, WorkerPlace>): void {
  const wants = new Map<PlanHost, { bytes: number; workers: string[]; path: string }>();
  for (const { name, group } of drafts) {
    const members = places.get(name)?.members ?? [];
    const cpu = group.kvOffload?.cpu;
    if (cpu === undefined) continue;
    for (const { host } of members) {
      const want = wants.get(host) ?? { bytes: 0, workers: [], path: formatPath([...group.path, 'kvOffload', 'cpu']) };
      want.bytes += cpu / members.length;
      want.workers.push(name);
      wants.set(host, want);
    }
  }
  const details = [...wants].flatMap(([{ name, facts }, { bytes, workers, path }]) => {
    if (facts.memoryBytes === 0 || bytes <= facts.memoryBytes) return [];
    return [
      `${path}: ${workers.join(', ')} would keep ${formatBytes(bytes)} of KV cache in the memory of ${name}, which has ${formatBytes(facts.memoryBytes)}`,
    ];
  });
  if (details.length === 0) return;
  throw new DynamoError('RECIPE_INVALID', 'the KV cache in host memory is more than there is', {
    details,
    hint: 'Lower `kvOffload.cpu`, which counts for each worker: something must be left for the weights on their way, and for the system.',
  });
}
