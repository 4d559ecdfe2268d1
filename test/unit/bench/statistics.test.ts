import fc from 'fast-check';
import { expect, it, describe as suite } from 'vitest';
import { describe, PERCENTILES, percentile } from '../../../src/bench/statistics.ts';

suite('percentile', () => {
  it('interpolates as numpy does by default', () => {
    // numpy.percentile([1, 2, 3, 4], [0, 25, 50, 90, 100]) = [1, 1.75, 2.5, 3.7, 4]
    expect([0, 25, 50, 90, 100].map((p) => percentile([1, 2, 3, 4], p))).toEqual([1, 1.75, 2.5, 3.7, 4]);
    expect(percentile([7], 99)).toBe(7);
    expect(percentile([], 50)).toBeNaN();
  });

  it('stays inside the samples and grows with p', () => {
    const samples = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 });
    fc.assert(
      fc.property(samples, (values) => {
        const d = describe(values, 'ms')!;
        const line = [d.min, ...PERCENTILES.map((p) => d[`p${p}`]), d.max];
        for (let i = 1; i < line.length; i += 1) expect(line[i]!).toBeGreaterThanOrEqual(line[i - 1]! - 1e-9);
        expect(d.count).toBe(values.length);
      }),
    );
  });
});

suite('describe', () => {
  it('uses the population deviation, like AIPerf', () => {
    // 1,168 ones in 1,200 samples: figures of `http_req_connection_reused` in a real AIPerf 0.13.0 export.
    const samples = Array.from({ length: 1200 }, (_, index) => (index < 1168 ? 1 : 0));
    const reused = describe(samples, 'ratio')!;
    expect(reused.avg).toBeCloseTo(0.9733333333333334, 12);
    expect(reused.std).toBeCloseTo(0.16110727964792765, 12);
    expect(reused).toMatchObject({ unit: 'ratio', p1: 0, p5: 1, p99: 1, min: 0, max: 1, count: 1200, sum: 1168 });
  });

  it('has nothing to say about no samples', () => expect(describe([], 'ms')).toBeUndefined());
});
