import type { Sample } from '../../telemetry/prometheus-text.ts';

/** Cumulative counts by upper bound, summed over labels. */
export type Buckets = ReadonlyMap<number, number>;

/** The buckets of one Prometheus histogram. */
export function bucketsOf(samples: readonly Sample[], name: string): Buckets {
  const buckets = new Map<number, number>();
  const wanted = `${name}_bucket`;
  for (const { name: found, labels, value } of samples) {
    if (found !== wanted || labels['le'] === undefined) continue;
    const bound = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

/** What was observed between two readings. A counter that fell started anew: everything in it is new. */
export function bucketDelta(before: Buckets, after: Buckets): Buckets {
  const restarted = [...after].some(([bound, count]) => count < (before.get(bound) ?? 0));
  if (restarted) return after;
  return new Map([...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]));
}

/**
 * Quantile `q` by linear interpolation inside its bucket, as Prometheus' `histogram_quantile` does: a value above the highest
 * finite bound is reported as that bound. Null when nothing was observed.
 */
export function quantileOf(buckets: Buckets, q: number): number | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  const rank = q * total;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of sorted) {
    if (count >= rank) {
      if (!Number.isFinite(bound)) return lower;
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    lower = Number.isFinite(bound) ? bound : lower;
    below = count;
  }
  return lower;
}
