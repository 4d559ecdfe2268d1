import type { GpuFacts } from '../hosts/host-facts.ts';
import type { Islands } from './gpu-islands.ts';

/** GPUs of one host for one worker, and why these. */
export interface GpuChoice {
  gpus: GpuFacts[];
  reason: string;
}

/**
 * `count` GPUs of one type out of those that are free: neighbours out of the smallest run that holds them, so that large runs
 * stay whole. Runs within an island come first, those of the nearest kind of island before others. Undefined when there are not
 * enough alike.
 */
export function chooseGpus(
  free: readonly GpuFacts[],
  count: number,
  type: string | undefined,
  islands: readonly Islands[] = [],
): GpuChoice | undefined {
  const fitting = free.filter((gpu) => isOfType(gpu, type));
  for (const island of [...islands, undefined]) {
    const run = smallestRun(runsOf(fitting, island), count);
    if (!run) continue;
    const gpus = run.slice(0, count);
    const rest = run.length - count;
    const whole = rest === 0 ? 'which it fills' : `which leaves ${rest} of it free`;
    const near = count === 1 || islands.length === 0 ? '' : (island?.joined(gpus[0]!) ?? 'though not near each other');
    return {
      gpus,
      reason: `${describeGpus(gpus)}${near === '' ? '' : `, ${near}`}: the smallest run of free neighbours that holds ${count}, ${whole}`,
    };
  }
  // Not neighbours, but still of one type: tensor parallelism goes at the pace of the slowest.
  for (const name of new Set(fitting.map((gpu) => gpu.name))) {
    const alike = fitting.filter((gpu) => gpu.name === name);
    if (alike.length < count) continue;
    const gpus = alike.slice(0, count);
    return { gpus, reason: `${describeGpus(gpus)}: the lowest free ones, as no ${count} neighbours are free` };
  }
  return undefined;
}

/** Part of the GPU's name, any case. */
export const isOfType = (gpu: GpuFacts, type: string | undefined): boolean =>
  type === undefined || gpu.name.toLowerCase().includes(type.toLowerCase());

const smallestRun = (runs: readonly GpuFacts[][], count: number): GpuFacts[] | undefined =>
  runs.filter((run) => run.length >= count).toSorted((a, b) => a.length - b.length || a[0]!.index - b[0]!.index)[0];

/** Maximal runs of consecutive indices, equal names and one island. */
function runsOf(gpus: readonly GpuFacts[], island: Islands | undefined): GpuFacts[][] {
  const runs: GpuFacts[][] = [];
  for (const gpu of gpus) {
    const last = runs.at(-1)?.at(-1);
    const goesOn =
      last && last.index + 1 === gpu.index && last.name === gpu.name && island?.of(last) === island?.of(gpu);
    if (goesOn) runs.at(-1)?.push(gpu);
    else runs.push([gpu]);
  }
  return runs;
}

function describeGpus(gpus: readonly GpuFacts[]): string {
  const indices = gpus.map((gpu) => gpu.index).join(', ');
  return `GPU${gpus.length === 1 ? '' : 's'} ${indices} (${gpus[0]?.name})`;
}
