import { describe, expect, it } from 'vitest';
import { clockSkew, parseDate } from '../../../../src/hosts/facts/clock.ts';

describe('clockSkew', () => {
  const reading = { sentAt: 1000, receivedAt: 3100, beganAt: 1050, endedAt: 3050, stepMs: 0 };

  it('does not count what the host took itself', () => {
    expect(clockSkew(reading)).toEqual({ skewMs: 0, uncertaintyMs: 50 });
    const ahead = { ...reading, beganAt: 61_050, endedAt: 63_050 };
    expect(clockSkew(ahead)).toEqual({ skewMs: 60_000, uncertaintyMs: 50 });
  });

  it('holds the truth when the way is longer there than back', () => {
    const { skewMs, uncertaintyMs } = clockSkew({ ...reading, beganAt: 1090, endedAt: 3090 });
    expect(Math.abs(skewMs)).toBeLessThanOrEqual(uncertaintyMs);
  });
});

describe('parseDate', () => {
  it('reads seconds with and without their fraction', () => {
    expect(parseDate('1760000000.250000000')).toEqual({ ms: 1_760_000_000_250, stepMs: 0.001 });
    // busybox prints the letter, other systems nothing.
    expect(parseDate('1760000000.%N')).toEqual({ ms: 1_760_000_000_000, stepMs: 1000 });
    expect(parseDate('1760000000')).toEqual({ ms: 1_760_000_000_000, stepMs: 1000 });
    expect(parseDate('date: bad')).toBeUndefined();
    expect(parseDate(undefined)).toBeUndefined();
  });
});
