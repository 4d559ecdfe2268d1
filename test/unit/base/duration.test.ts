import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/base/duration.ts';

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['30', 30_000],
    [' 1.5 h ', 5_400_000],
    ['5m', 300_000],
    ['2d', 172_800_000],
    [0, 0],
    [0.25, 250],
  ])('%j is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', 's', '-1s', '1 year', '1e3', '1,5s', '1s2', 'Infinity', -1, Number.NaN])('%j is none', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [999.7, '1.0 s'],
    [1_000, '1.0 s'],
    [12_345, '12.3 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 00 s'],
    [65_000, '1 min 05 s'],
    [3_599_900, '59 min 59 s'],
    [3_600_000, '1 h 00 min'],
    [11_040_000, '3 h 04 min'],
    [90_000_000, '1 d 01 h'],
  ])('%d ms reads %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
});
