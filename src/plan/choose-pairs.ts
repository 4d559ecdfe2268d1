import type { PairSpec } from './launch-plan.ts';

/** Up to so many pairs all are proven; beyond, each worker in two. */
const MOST_PAIRS = 64;

/** Prefill×decode pairs of one model to prove at start. */
export function choosePairs(prefill: readonly string[], decode: readonly string[]): PairSpec[] {
  if (prefill.length * decode.length <= MOST_PAIRS) return prefill.flatMap((p) => decode.map((d) => pair(p, d)));
  // Each worker of the larger role meets two neighbours of the smaller one, which so meet two or more as well.
  const [larger, smaller] = prefill.length >= decode.length ? [prefill, decode] : [decode, prefill];
  const partners = Math.min(2, smaller.length);
  return larger.flatMap((worker, index) =>
    Array.from({ length: partners }, (_, step) => {
      const partner = smaller[(index + step) % smaller.length]!;
      return larger === prefill ? pair(worker, partner) : pair(partner, worker);
    }),
  );
}

const pair = (prefill: string, decode: string): PairSpec => ({ prefill, decode });
