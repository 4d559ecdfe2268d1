import { describe, expect, it } from 'vitest';
import { type ArrivalPattern, arrivalTimes } from '../../../src/bench/arrivals.ts';

function times(pattern: ArrivalPattern, rate: number, seed: number, count: number): number[] {
  const arrivals = arrivalTimes(pattern, rate, seed);
  return Array.from({ length: count }, () => arrivals.next().value as number);
}

describe('arrivalTimes', () => {
  it('spaces a constant rate evenly, without drift', () => {
    expect(times('constant', 4, 0, 4)).toEqual([0, 250, 500, 750]);
    expect(times('constant', 3, 0, 3_001).at(-1)).toBeCloseTo(1_000_000, 6);
  });

  it('spreads Poisson gaps exponentially around the rate, the same for the same seed', () => {
    const arrivals = times('poisson', 10, 42, 20_001);
    const gaps = arrivals.slice(1).map((at, index) => at - arrivals[index]!);
    const mean = arrivals.at(-1)! / gaps.length;
    expect(mean).toBeGreaterThan(97);
    expect(mean).toBeLessThan(103);
    // For an exponential distribution the share of gaps above the mean is 1/e.
    expect(gaps.filter((gap) => gap > mean).length / gaps.length).toBeCloseTo(Math.exp(-1), 2);
    expect(gaps.every((gap) => gap >= 0)).toBe(true);
    expect(times('poisson', 10, 42, 50)).toEqual(arrivals.slice(0, 50));
    expect(times('poisson', 10, 43, 50)).not.toEqual(arrivals.slice(0, 50));
  });
});
