import { describe, expect, it } from 'vitest';
import { hasRisen } from '../../../../src/frontend/transfer/transfer-counters.ts';

const before = { processStart: 5, failedTransfers: 3, leaseOverruns: 1 };

describe('hasRisen', () => {
  it.each([
    [before, false, false],
    [{ ...before, failedTransfers: 4 }, true, false],
    [{ ...before, leaseOverruns: 2 }, false, true],
    // Another process: its counters say nothing about what went before.
    [{ processStart: 6, failedTransfers: 0, leaseOverruns: 0 }, true, true],
  ])('%j: failed transfers %s, lease overruns %s', (after, failed, overrun) => {
    expect(hasRisen(before, after, 'failedTransfers')).toBe(failed);
    expect(hasRisen(before, after, 'leaseOverruns')).toBe(overrun);
  });
});
