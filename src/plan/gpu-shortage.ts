import { formatBytes } from '../base/bytes.ts';
import { DynamoError } from '../base/errors.ts';
import { isOfType } from './choose-gpus.ts';
import { formatLabels, hasLabels, type PlanHost } from './plan-hosts.ts';
import type { WorkerWish } from './worker-wish.ts';

/** `GPU_UNAVAILABLE`: what is wanted, by whom, and what there is on every host. `failed` is who found no place. */
export function gpuShortage(
  wishes: readonly WorkerWish[],
  hosts: readonly PlanHost[],
  failed: WorkerWish,
): DynamoError {
  return new DynamoError('GPU_UNAVAILABLE', summarise(wishes, hosts, failed), {
    details: [
      ...wishes
        .filter(({ count, nodes }) => count > 0 || nodes > 1)
        .map((wish) => `wanted: ${wish.worker} ${describe(wish)}`),
      ...hosts.flatMap(inventory),
    ],
  });
}

function summarise(wishes: readonly WorkerWish[], hosts: readonly PlanHost[], failed: WorkerWish): string {
  const suitable = hosts.filter((host) => hasLabels(host, failed.placement));
  if (suitable.length === 0)
    return `${failed.worker} wants a host with ${formatLabels(failed.placement ?? {})}, and no host has that`;
  if (failed.nodes > suitable.length)
    return `${failed.worker} spans ${failed.nodes} hosts but there ${suitable.length === 1 ? 'is only 1' : `are only ${suitable.length}`}`;
  const wanted = wishes.reduce((sum, wish) => sum + wish.count * wish.nodes, 0);
  const free = hosts.reduce((sum, host) => sum + host.freeGpus.length, 0);
  const where = hosts.length === 1 ? `${hosts[0]!.name} has` : `the ${hosts.length} hosts have`;
  if (free < wanted)
    return `the recipe wants ${plural(wanted)} but ${where} ${free === 0 ? 'none' : `only ${free}`} free`;
  const type = failed.type === undefined ? '' : ` of type ${failed.type}`;
  if (hosts.length === 1) {
    const fitting = free === 0 ? 0 : hosts[0]!.freeGpus.filter((gpu) => isOfType(gpu, failed.type)).length;
    return `${failed.worker} wants ${plural(failed.count)}${type} but only ${fitting} ${fitting === 1 ? 'is' : 'are'} left that fit together`;
  }
  const each = failed.nodes > 1 ? ` on each of ${failed.nodes} hosts` : ' on one host';
  return `${failed.worker} wants ${plural(failed.count)}${type}${each}, and beside the others that is left nowhere`;
}

function describe({ count, nodes, type, placement }: WorkerWish): string {
  const each = nodes > 1 ? ` on each of ${nodes} hosts` : '';
  const kind = type === undefined ? '' : ` (${type})`;
  const at = placement && Object.keys(placement).length > 0 ? `, ${formatLabels(placement)}` : '';
  return `${plural(count)}${each}${kind}${at}`;
}

/** A line for each kind of GPU: `there: gpu-1 GPUs 0-3 NVIDIA H100 80GB HBM3, 80 GiB each`. */
function inventory({ name, facts, held }: PlanHost): string[] {
  if (facts.gpus.length === 0) return [`there: ${name} has no GPU that nvidia-smi lists`];
  const kinds = Map.groupBy(facts.gpus, (gpu) => `${gpu.name}|${gpu.memoryBytes}|${held.get(gpu.index) ?? ''}`);
  return [...kinds.values()].map((gpus) => {
    const [first] = gpus;
    const why = held.get(first!.index);
    const indices = formatRanges(gpus.map((gpu) => gpu.index));
    const [word, each] = gpus.length === 1 ? ['GPU', ''] : ['GPUs', ' each'];
    const state = why === undefined ? '' : `, ${why}`;
    return `there: ${name} ${word} ${indices} ${first!.name}, ${formatBytes(first!.memoryBytes)}${each}${state}`;
  });
}

/** `0-3, 6`. */
export function formatRanges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last[1] + 1 === number) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

const plural = (count: number): string => `${count} GPU${count === 1 ? '' : 's'}`;
