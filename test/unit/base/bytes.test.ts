import { describe, expect, it } from 'vitest';
import { formatBytes, parseBytes } from '../../../src/base/bytes.ts';

describe('parseBytes', () => {
  it.each([
    ['64GiB', 64 * 1024 ** 3],
    ['1.5 GB', 1.5e9],
    ['512', 512],
    ['7B', 7],
    ['2TiB', 2 * 1024 ** 4],
    [' 3 kB '.replace('k', 'K'), 3_000],
    [12, 12],
  ])('%j is %d', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'GiB', '-1', '1 PB', '1gib', '1 G i B', -1, Number.NaN])('%j is none', (text) =>
    expect(parseBytes(text)).toBeUndefined(),
  );
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [320 * 1024 ** 2, '320 MiB'],
    [1024 ** 3 - 1, '1.0 GiB'],
    [5 * 1024 ** 5, '5120 TiB'],
  ])('%d reads %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});
