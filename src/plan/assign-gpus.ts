import { formatBytes } from '../base/bytes.ts';
import { DynamoError } from '../base/errors.ts';
import type { GpuFacts, HostFacts } from '../hosts/host-facts.ts';

/** What a worker wants. */
export interface GpuWish {
  worker: string;
  count: number;
  /** Part of the GPU's name, any case. */
  type: string | undefined;
  /** Shares its GPU with others of the model that say the same: so many workers on each. */
  sharing?: { workers: number; model: string };
}

export interface GpuGrant {
  indices: number[];
  reason: string;
  /** How many workers of its GPU start before it. */
  turn: number;
}

/**
 * Gives each worker its GPUs: neighbours of one type, out of the smallest free run that holds them, so that large runs stay
 * whole. Workers that want most choose first. Throws `GPU_UNAVAILABLE` with what is wanted, by whom, and what is there.
 */
export function assignGpus(
  wishes: readonly GpuWish[],
  facts: HostFacts,
  alsoTaken: readonly number[] = [],
): Map<string, GpuGrant> {
  const hosts = shareOut(wishes);
  const granted = assignWhole([...hosts.keys()], facts, alsoTaken);
  const grants = new Map<string, GpuGrant>();
  for (const [host, guests] of hosts) {
    const grant = granted.get(host.worker);
    if (!grant) continue;
    const names = guests.map((guest) => guest.worker);
    names.forEach((name, turn) => {
      const others = names.filter((other) => other !== name);
      const shared = others.length === 0 ? '' : `; shared with ${others.join(', ')}`;
      grants.set(name, { ...grant, reason: `${grant.reason}${shared}`, turn });
    });
  }
  return grants;
}

/** Workers that share, by the one of them that stands for all. */
function shareOut(wishes: readonly GpuWish[]): Map<GpuWish, GpuWish[]> {
  const hosts = new Map<GpuWish, GpuWish[]>();
  const alike = (a: GpuWish, b: GpuWish): boolean =>
    a.sharing?.model === b.sharing?.model &&
    a.sharing?.workers === b.sharing?.workers &&
    a.count === b.count &&
    a.type === b.type;
  for (const wish of wishes) {
    const room = wish.sharing?.workers ?? 1;
    const host = wish.sharing && [...hosts].find(([first, guests]) => alike(first, wish) && guests.length < room)?.[0];
    if (host) hosts.get(host)?.push(wish);
    else hosts.set(wish, [wish]);
  }
  return hosts;
}

function assignWhole(
  wishes: readonly GpuWish[],
  facts: HostFacts,
  alsoTaken: readonly number[],
): Map<string, Omit<GpuGrant, 'turn'>> {
  const free = facts.gpus.filter((gpu) => !alsoTaken.includes(gpu.index)).toSorted((a, b) => a.index - b.index);
  const grants = new Map<string, Omit<GpuGrant, 'turn'>>();
  const order = wishes.filter((wish) => wish.count > 0).toSorted((a, b) => b.count - a.count || rank(b) - rank(a));
  let left = free;
  for (const wish of order) {
    const grant = choose(wish, left);
    if (!grant) throw unavailable(wishes, facts, free, wish);
    grants.set(wish.worker, grant);
    left = left.filter((gpu) => !grant.indices.includes(gpu.index));
  }
  return grants;
}

/** Who is particular about the type chooses before who is not. */
const rank = (wish: GpuWish): number => (wish.type === undefined ? 0 : 1);

function choose(wish: GpuWish, free: readonly GpuFacts[]): Omit<GpuGrant, 'turn'> | undefined {
  const fitting = free.filter((gpu) => isOfType(gpu, wish.type));
  const runs = runsOf(fitting).filter((run) => run.length >= wish.count);
  const best = runs.toSorted((a, b) => a.length - b.length || a[0]!.index - b[0]!.index)[0];
  if (best) {
    const chosen = best.slice(0, wish.count);
    const rest = best.length - wish.count;
    const whole = rest === 0 ? 'which it fills' : `which leaves ${rest} of it free`;
    return {
      indices: chosen.map((gpu) => gpu.index),
      reason: `${describe(chosen)}: the smallest run of free neighbours that holds ${wish.count}, ${whole}`,
    };
  }
  // Not neighbours, but still of one type: tensor parallelism goes at the pace of the slowest.
  for (const name of new Set(fitting.map((gpu) => gpu.name))) {
    const alike = fitting.filter((gpu) => gpu.name === name);
    if (alike.length < wish.count) continue;
    const chosen = alike.slice(0, wish.count);
    return {
      indices: chosen.map((gpu) => gpu.index),
      reason: `${describe(chosen)}: the lowest free ones, as no ${wish.count} neighbours are free`,
    };
  }
  return undefined;
}

/** Maximal runs of consecutive indices and equal names. */
function runsOf(gpus: readonly GpuFacts[]): GpuFacts[][] {
  const runs: GpuFacts[][] = [];
  for (const gpu of gpus) {
    const last = runs.at(-1)?.at(-1);
    if (last && last.index + 1 === gpu.index && last.name === gpu.name) runs.at(-1)?.push(gpu);
    else runs.push([gpu]);
  }
  return runs;
}

const isOfType = (gpu: GpuFacts, type: string | undefined): boolean =>
  type === undefined || gpu.name.toLowerCase().includes(type.toLowerCase());

function describe(gpus: readonly GpuFacts[]): string {
  const indices = gpus.map((gpu) => gpu.index).join(', ');
  return `GPU${gpus.length === 1 ? '' : 's'} ${indices} (${gpus[0]?.name})`;
}

function unavailable(
  wishes: readonly GpuWish[],
  facts: HostFacts,
  free: readonly GpuFacts[],
  failed: GpuWish,
): DynamoError {
  const wanted = wishes.reduce((sum, wish) => sum + wish.count, 0);
  const type = failed.type === undefined ? '' : ` of type ${failed.type}`;
  const fitting = free.filter((gpu) => isOfType(gpu, failed.type)).length;
  const message =
    free.length < wanted
      ? `the recipe wants ${plural(wanted)} but ${facts.name} has ${free.length === 0 ? 'none' : `only ${free.length}`} free`
      : `${failed.worker} wants ${plural(failed.count)}${type} but only ${fitting} ${fitting === 1 ? 'is' : 'are'} left that fit together`;
  return new DynamoError('GPU_UNAVAILABLE', message, {
    details: [
      ...wishes
        .filter((wish) => wish.count > 0)
        .map((wish) => `wanted: ${wish.worker} ${plural(wish.count)}${wish.type ? ` (${wish.type})` : ''}`),
      ...inventory(facts, free),
    ],
  });
}

function inventory(facts: HostFacts, free: readonly GpuFacts[]): string[] {
  if (facts.gpus.length === 0) return [`there: ${facts.name} has no GPU that nvidia-smi lists`];
  return facts.gpus.map((gpu) => {
    const state = free.includes(gpu) ? '' : ', held by another deployment';
    return `there: ${facts.name} GPU ${gpu.index} ${gpu.name}, ${formatBytes(gpu.memoryBytes)}${state}`;
  });
}

const plural = (count: number): string => `${count} GPU${count === 1 ? '' : 's'}`;
