import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffDelay } from '../../../src/base/backoff.ts';

describe('backoffDelay', () => {
  const backoff = { initialMs: 100, maxMs: 5_000, factor: 2 };

  it('doubles up to its limit', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoffDelay(backoff, attempt, 0.5));
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });

  it('is spread over a tenth either way, and finite for any attempt', () => {
    fc.assert(
      fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const middle = Math.min(5_000, 100 * 2 ** attempt);
        const delay = backoffDelay(backoff, attempt, random);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(middle * 0.9));
        expect(delay).toBeLessThanOrEqual(Math.ceil(middle * 1.1));
      }),
    );
  });
});
