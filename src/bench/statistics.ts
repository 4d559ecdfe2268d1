/** Percentiles of every report, as AIPerf has them. */
export const PERCENTILES = [1, 5, 10, 25, 50, 75, 90, 95, 99] as const;
export type PercentileKey = `p${(typeof PERCENTILES)[number]}`;

/** One metric over many samples: AIPerf's per-metric object. `std` is the population's (divided by n). */
export type Distribution = { unit: string; avg: number } & Record<PercentileKey, number> & {
    min: number;
    max: number;
    std: number;
    count: number;
    sum: number;
  };

/** A metric that is one number for the whole run. */
export interface Scalar {
  unit: string;
  avg: number;
}

/**
 * Percentile `p` (0..100) of ascending values by linear interpolation between closest ranks, numpy's default ("linear").
 * NaN for no values.
 */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = (p / 100) * (sorted.length - 1);
  const below = Math.floor(rank);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (rank - below);
}

/** Describes samples; `undefined` for none, because a metric without samples is left out and not reported as 0. */
export function describe(samples: ArrayLike<number>, unit: string): Distribution | undefined {
  const count = samples.length;
  if (count === 0) return undefined;
  const sorted = Float64Array.from(samples).sort();
  let sum = 0;
  for (const value of sorted) sum += value;
  const avg = sum / count;
  let squares = 0;
  for (const value of sorted) squares += (value - avg) ** 2;
  const percentiles = Object.fromEntries(PERCENTILES.map((p) => [`p${p}`, percentile(sorted, p)])) as Record<
    PercentileKey,
    number
  >;
  const std = Math.sqrt(squares / count);
  return { unit, avg, ...percentiles, min: sorted[0]!, max: sorted[count - 1]!, std, count, sum };
}
