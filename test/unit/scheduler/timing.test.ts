import { describe, expect, it } from 'vitest';
import { decodeMs, prefillMs, transferMs } from '../../../src/scheduler/timing.ts';

describe('timing formulas', () => {
  it('gives the published values for prefill', () => {
    expect(prefillMs(0)).toBe(0);
    expect(prefillMs(1_000)).toBeCloseTo(32.1, 1);
    expect(prefillMs(8_192)).toBeCloseTo(169, 0);
  });

  it('gives the published values for decode', () => {
    expect(decodeMs(0)).toBeCloseTo(5.74, 2);
    expect(decodeMs(0.5)).toBeCloseTo(26.3, 1);
    expect(decodeMs(1)).toBeCloseTo(34, 1);
    expect(decodeMs(7)).toBe(decodeMs(1));
  });

  it('takes bytes over bandwidth for a transfer', () => {
    expect(transferMs(1_000, 64_000, 64)).toBeCloseTo(1);
    expect(transferMs(1_000, 64_000, 0)).toBe(0);
  });
});
