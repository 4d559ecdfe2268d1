import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choosePairs } from '../../../src/plan/choose-pairs.ts';

const names = (role: string, count: number) => Array.from({ length: count }, (_, i) => `${role}-${i}`);

describe('choosePairs', () => {
  it('takes every pair up to 64', () => {
    expect(choosePairs(names('p', 8), names('d', 8))).toHaveLength(64);
    expect(choosePairs(names('p', 2), names('d', 0))).toEqual([]);
  });

  it('beyond that takes each worker at least twice, with different partners where there are any', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 90 }), (p, d) => {
        const pairs = choosePairs(names('p', p), names('d', d));
        if (p * d <= 64) {
          expect(pairs).toHaveLength(p * d);
          return;
        }
        expect(pairs.length).toBeLessThanOrEqual(2 * Math.max(p, d));
        const partners = (key: 'prefill' | 'decode', name: string, other: 'prefill' | 'decode') =>
          new Set(pairs.filter((pair) => pair[key] === name).map((pair) => pair[other])).size;
        for (const name of names('p', p))
          expect(partners('prefill', name, 'decode')).toBeGreaterThanOrEqual(Math.min(2, d));
        for (const name of names('d', d))
          expect(partners('decode', name, 'prefill')).toBeGreaterThanOrEqual(Math.min(2, p));
      }),
      { numRuns: 60 },
    );
  });
});
