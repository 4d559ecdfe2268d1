import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ASCII_SIGNS, benchCharts, histogram, throughputChart, UTF8_SIGNS } from '../../../src/bench/charts.ts';
import { shortNumber } from '../../../src/bench/short-number.ts';
import { record } from './fixtures.ts';

/** Numbers of the second column: how many values a bin holds. */
const counts = (lines: readonly string[]) => lines.slice(1).map((line) => Number(/^ +\S+ +(\d+)/.exec(line)?.[1]));

describe('histogram', () => {
  it('shows values near each other in equal bins', () => {
    const lines = histogram('T (ms)', [10, 11, 12, 12, 13, 14, 15, 16, 17, 18], 60, ASCII_SIGNS);
    expect(lines[0]).toBe('T (ms): p50 14, p90 17, p99 18');
    expect(counts(lines).reduce((sum, count) => sum + count, 0)).toBe(10);
    expect(lines[1]).toMatch(/^ {2}10-11 +1 {2}#+$/);
  });

  it('tells narrow bins apart', () => {
    const lines = histogram('T', [0.61, 0.63, 0.64, 0.66, 0.7, 0.81, 0.83], 60, ASCII_SIGNS);
    const labels = lines.slice(1).map((line) => line.trim().split(' ')[0]);
    expect(labels[0]).toBe('0.60-0.65');
    expect(new Set(labels).size).toBe(labels.length);
    const large = histogram('T', [12_000, 12_050, 12_400, 12_900], 60, ASCII_SIGNS).slice(1);
    expect(large[0]).toMatch(/^ +12000-12200 /);
  });

  it('shows a long tail in growing bins', () => {
    const values = [...Array.from({ length: 90 }, (_, index) => 10 + index / 10), 150, 400, 900];
    const lines = histogram('T (ms)', values, 60, ASCII_SIGNS);
    expect(lines.some((line) => /^ +500-1\.0k +1 {2}#$/.test(line))).toBe(true);
    expect(lines.length).toBeLessThanOrEqual(11);
  });

  it.each([
    ['equal values', [5, 5, 5, 5], 4],
    ['zeros', [0, 0, 0], 3],
    ['zeros and one large value', [0, 0, 0, 1_000_000], 4],
  ])('%s', (_, values, total) => {
    const lines = histogram('T', values, 60, ASCII_SIGNS);
    expect(counts(lines).reduce((sum, count) => sum + count, 0)).toBe(total);
  });

  it('says nothing of too few values', () => {
    expect(histogram('T', [1, 2], 60, ASCII_SIGNS)).toEqual([]);
  });

  it('holds every value, in at most ten bins, and keeps its width', () => {
    const value = fc.oneof(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0.001, max: 5, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 3, maxLength: 200 }),
        fc.integer({ min: 60, max: 100 }),
        (values, width) => {
          const lines = histogram('T', values, width, UTF8_SIGNS);
          expect(counts(lines).reduce((sum, count) => sum + count, 0)).toBe(values.length);
          expect(lines.length).toBeLessThanOrEqual(11);
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
        },
      ),
    );
  });
});

const answers = Array.from({ length: 20 }, (_, index) =>
  record({
    startMs: index * 100,
    contentMs: Array.from({ length: 10 }, (_, chunk) => index * 100 + 50 + chunk * 20),
    endMs: index * 100 + 240,
    usage: { promptTokens: 5, completionTokens: 10, cachedTokens: 0 },
  }),
);

describe('throughput over time', () => {
  it('has an axis of time and one of tokens per second', () => {
    const lines = throughputChart(answers, 60, UTF8_SIGNS);
    expect(lines[0]).toBe('Output tokens per second over time');
    expect(lines).toHaveLength(9);
    expect(lines.at(-1)).toMatch(/^ +0 s +2\.1 s$/);
    expect(lines.slice(1, 7).join('')).toMatch(/[▁-█]/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
  });

  it('needs a run that took time', () => {
    expect(throughputChart([], 60, UTF8_SIGNS)).toEqual([]);
    const still = Array.from({ length: 3 }, () => record({ startMs: 5, contentMs: [5], endMs: 5 }));
    expect(throughputChart(still, 60, UTF8_SIGNS)).toEqual([]);
  });
});

describe('charts of a run', () => {
  it('are three for a stream, one for whole answers, none for nothing', () => {
    expect(benchCharts(answers, true, 80, UTF8_SIGNS).split('\n\n')).toHaveLength(3);
    expect(benchCharts(answers, false, 80, UTF8_SIGNS)).toMatch(/^Request latency \(ms\)/);
    expect(benchCharts([], true, 80, UTF8_SIGNS)).toBe('');
  });

  it('are ASCII where nothing else can be shown, without escapes, at 60 columns or what the terminal has', () => {
    for (const columns of [20, 60, 80, 300]) {
      const text = benchCharts(answers, true, columns, ASCII_SIGNS);
      expect(text).toMatch(/^[\x20-\x7e\n]*$/);
      for (const line of text.split('\n'))
        expect(line.length).toBeLessThanOrEqual(Math.min(100, Math.max(60, columns)));
    }
  });
});

describe('shortNumber', () => {
  it.each([
    [0, '0'],
    [0.012, '0.01'],
    [0.5, '0.5'],
    [9.94, '9.9'],
    [12.4, '12'],
    [999, '999'],
    [999.6, '1.0k'],
    [12_345, '12k'],
    [2_400_000, '2.4M'],
  ])('%d is %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});
