import { describe, expect, it } from 'vitest';
import { syntheticWorkload, traceWorkload } from '../../../src/bench/workload.ts';

describe('syntheticWorkload', () => {
  it('gives exact lengths without a deviation, and the same request for the same number', () => {
    const workload = syntheticWorkload({ isl: 40, islStddev: 0, osl: 7, oslStddev: 0 }, 3);
    expect(workload.at(5).asked).toEqual({ isl: 40, osl: 7 });
    expect(workload.at(5).prompt()).toBe(workload.at(5).prompt());
    expect(workload.at(5).prompt()).not.toBe(workload.at(6).prompt());
    expect(workload.at(5).prompt().trim().split(' ')).toHaveLength(40);
  });

  it('spreads lengths around their means and never below one token', () => {
    const workload = syntheticWorkload({ isl: 100, islStddev: 20, osl: 2, oslStddev: 5 }, 3);
    const asked = Array.from({ length: 2_000 }, (_, index) => workload.at(index).asked);
    const mean = asked.reduce((sum, { isl }) => sum + isl, 0) / asked.length;
    expect(mean).toBeGreaterThan(97);
    expect(mean).toBeLessThan(103);
    expect(Math.min(...asked.map(({ osl }) => osl))).toBe(1);
    expect(new Set(asked.map(({ isl }) => isl)).size).toBeGreaterThan(50);
  });
});

describe('traceWorkload', () => {
  it('counts times from the first row', () => {
    const row = { inputLength: 5, outputLength: 2, hashIds: [4] };
    const workload = traceWorkload(
      [
        { ...row, timestampMs: 3_000 },
        { ...row, timestampMs: 4_500 },
      ],
      512,
      0,
    );
    expect([0, 1].map((index) => workload.at(index).timestampMs)).toEqual([0, 1_500]);
    expect(workload.at(0).prompt()).toBe(workload.at(1).prompt());
  });

  it('gives rows without hash ids text of their own', () => {
    const row = { timestampMs: null, inputLength: 5, outputLength: 2, hashIds: [] };
    const workload = traceWorkload([row, row], 512, 0);
    expect(workload.at(0).prompt()).not.toBe(workload.at(1).prompt());
  });
});
