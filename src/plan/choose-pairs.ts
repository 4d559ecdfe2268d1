import type { PairSpec } from './launch-plan.ts';

/** Up to so many pairs all are proven; beyond, each worker in two. */
const MOST_PAIRS = 64;

/** Prefill×decode pairs of one model to prove at start. */
export function choosePairs(prefill: readonly string[], decode: readonly string[]): PairSpec[] {
  if (prefill.length * decode.length <= MOST_PAIRS) return prefill.flatMap((p) => decode.map((d) => pair(p, d)));
  // Around two rings: worker i of the longer side meets worker i and worker i+1 of the shorter one.
  const found = new Map<string, PairSpec>();
  for (let i = 0; i < Math.max(prefill.length, decode.length); i += 1) {
    for (const step of [0, 1]) {
      const chosen = pair(prefill[i % prefill.length]!, decode[(i + step) % decode.length]!);
      found.set(`${chosen.prefill} ${chosen.decode}`, chosen);
    }
  }
  return [...found.values()];
}

const pair = (prefill: string, decode: string): PairSpec => ({ prefill, decode });
