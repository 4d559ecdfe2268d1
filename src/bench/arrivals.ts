import { createRandom, drawExponential } from './random.ts';

export const ARRIVAL_PATTERNS = ['poisson', 'constant'] as const;
export type ArrivalPattern = (typeof ARRIVAL_PATTERNS)[number];

const ARRIVAL_STREAM = 1;

/**
 * Endless send times of an open loop, in milliseconds since the start of the run; the first is 0.
 * `requestRate` is in requests per second. Poisson gaps are exponential, so bursts are part of the load.
 */
export function* arrivalTimes(pattern: ArrivalPattern, requestRate: number, seed: number): Generator<number> {
  const random = createRandom(seed, ARRIVAL_STREAM);
  const meanGapMs = 1_000 / requestRate;
  let at = 0;
  for (let index = 0; ; index += 1) {
    // Constant times come from a product, so that no rounding adds up over a long run.
    yield pattern === 'constant' ? index * meanGapMs : at;
    at += drawExponential(random, meanGapMs);
  }
}
