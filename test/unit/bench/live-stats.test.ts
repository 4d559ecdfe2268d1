import { describe, expect, it } from 'vitest';
import { LiveStats } from '../../../src/bench/live-stats.ts';
import { type ProgressState, progressLine } from '../../../src/bench/progress-line.ts';
import { record } from './fixtures.ts';

const answer = (startMs: number) =>
  record({
    startMs,
    contentMs: [startMs + 20, startMs + 30, startMs + 40],
    endMs: startMs + 40,
    usage: { promptTokens: 1, completionTokens: 3, cachedTokens: 0 },
  });

describe('LiveStats', () => {
  it('has rates of the last seconds and percentiles of the newest answers', () => {
    const stats = new LiveStats();
    for (let at = 0; at < 2_000; at += 100) stats.add(answer(at));
    stats.add(
      record({
        startMs: 100,
        endMs: 200,
        contentMs: [],
        outcome: 'error',
        error: { code: 500, type: 'x', message: '' },
      }),
    );
    expect(stats.figures(2_000)).toEqual({
      done: 21,
      failed: 1,
      requestsPerSecond: 10,
      tokensPerSecond: 30,
      ttftP50: 20,
      ttftP99: 20,
      itlP50: 10,
    });
  });

  it('lets the rate fall when nothing ends any more', () => {
    const stats = new LiveStats();
    stats.add(answer(0));
    expect(stats.figures(1_000).requestsPerSecond).toBe(1);
    expect(stats.figures(60_000)).toMatchObject({ requestsPerSecond: 0, tokensPerSecond: 0, ttftP50: 20 });
  });

  it('knows nothing before the first answer', () => {
    expect(new LiveStats().figures(5)).toEqual({
      done: 0,
      failed: 0,
      requestsPerSecond: null,
      tokensPerSecond: null,
      ttftP50: null,
      ttftP99: null,
      itlP50: null,
    });
  });
});

const STATE: ProgressState = {
  phase: 'profiling',
  total: 200,
  done: 50,
  failed: 0,
  requestsPerSecond: 12.34,
  tokensPerSecond: 1_580,
  ttftP50: 23.4,
  ttftP99: 81,
  itlP50: 1.23,
  elapsedMs: 4_200,
};
const BAR = { full: '#', empty: '.' };

describe('progressLine', () => {
  it('has everything where there is room', () => {
    expect(progressLine(STATE, 120, BAR)).toBe(
      `${'#'.repeat(8)}${'.'.repeat(22)} requests 50/200 · 12 req/s · 1.6k tok/s · TTFT p50 23 p99 81 ms · ITL 1.2 ms · 4 s`,
    );
    expect(progressLine(STATE, Number.POSITIVE_INFINITY, null)).toMatch(/^requests 50\/200 · .* · 4 s$/);
  });

  it.each([20, 40, 60, 79, 80, 100])('keeps to %i columns, failures first', (columns) => {
    const line = progressLine({ ...STATE, failed: 3 }, columns, BAR);
    expect(line.length).toBeLessThanOrEqual(columns);
    if (columns >= 40) expect(line).toContain('3 failed');
  });

  it('has no bar where the end is unknown', () => {
    expect(progressLine({ ...STATE, total: undefined, phase: 'warmup' }, 100, BAR)).toMatch(/^warm-up 50\/\? · /);
  });
});
