import { describe, expect, it } from 'vitest';
import { createRandom, drawExponential, drawNormal } from '../../../src/bench/random.ts';

const draws = (count: number, draw: () => number): number[] => Array.from({ length: count }, draw);
const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('createRandom', () => {
  it('repeats itself for the same seed and stream, and only then', () => {
    const first = (...seeds: [number, ...number[]]) => {
      const random = createRandom(...seeds);
      return draws(4, random.uint32).join();
    };
    expect(first(1, 2)).toBe(first(1, 2));
    expect(
      new Set([first(1), first(2), first(1, 1), first(1, 2), first(1, 2, 3), first(1, 2 ** 40), first(2 ** 40)]).size,
    ).toBe(7);
  });

  it('is uniform enough', () => {
    const random = createRandom(7);
    const values = draws(20_000, random.float);
    expect(mean(values)).toBeCloseTo(0.5, 2);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
  });
});

describe('draws', () => {
  it('has the mean and spread asked for', () => {
    const random = createRandom(3);
    expect(mean(draws(20_000, () => drawExponential(random, 250)))).toBeGreaterThan(243);
    const normal = draws(20_000, () => drawNormal(random, 100, 10));
    expect(mean(normal)).toBeCloseTo(100, 0);
    expect(Math.sqrt(mean(normal.map((value) => (value - 100) ** 2)))).toBeCloseTo(10, 0);
    expect(drawNormal(random, 5, 0)).toBe(5);
  });
});
