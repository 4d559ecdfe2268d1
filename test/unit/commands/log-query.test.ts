import { describe, expect, it } from 'vitest';
import { matchesQuery, parseTime, readQuery } from '../../../src/commands/log-query.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');

describe('the flags of dynamo logs', () => {
  it('mean the newest 20 lines, all of a time, or what is said', () => {
    expect(readQuery({}, NOW)).toMatchObject({ tail: 20, filters: false });
    expect(readQuery({ since: '10m' }, NOW)).toMatchObject({ tail: undefined, since: NOW - 600_000, filters: true });
    expect(readQuery({ since: '10m', tail: '3' }, NOW).tail).toBe(3);
    expect(readQuery({ grep: 'x' }, NOW)).toMatchObject({ tail: 20, filters: true });
  });

  it('take times ago and dates', () => {
    expect(parseTime('--since', '90', NOW)).toBe(NOW - 90_000);
    expect(parseTime('--since', '2026-01-31T11:00:00Z', NOW)).toBe(NOW - 3_600_000);
    expect(parseTime('--since', '2026-01-31 11:00:00Z', NOW)).toBe(NOW - 3_600_000);
  });

  it.each([
    [{ since: 'yesterday' }, '--since wants a time'],
    [{ until: '12:00' }, '--until wants a time'],
    [{ since: '1m', until: '2m' }, 'is after --until'],
    [{ tail: '-1' }, '--tail wants a number'],
    [{ tail: '1e3' }, '--tail wants a number'],
    [{ grep: '[' }, '--grep wants a regular expression'],
  ])('refuse %o', (flags, message) => {
    expect(() => readQuery(flags, NOW)).toThrow(message);
  });
});

it('shows a line when any of the time it may have arrived in is asked for', () => {
  const line = (at: number, from: number | null = null) => ({ process: 'a', text: 'An Error', arrival: { at, from } });
  const query = (flags: Parameters<typeof readQuery>[0]) => readQuery(flags, NOW);
  expect(matchesQuery(line(NOW - 1_000), query({ since: '2s' }))).toBe(true);
  expect(matchesQuery(line(NOW - 3_000), query({ since: '2s' }))).toBe(false);
  expect(matchesQuery(line(NOW, NOW - 60_000), query({ until: '30s' }))).toBe(true);
  expect(matchesQuery(line(NOW), query({ until: '30s' }))).toBe(false);
  expect(matchesQuery(line(NOW), query({ grep: 'error' }))).toBe(true);
  expect(matchesQuery(line(NOW), query({ grep: 'ERROR' }))).toBe(false);
});
