import { describe, expect, it } from 'vitest';
import { measureRun } from '../../../src/bench/run-metrics.ts';
import { record } from './fixtures.ts';

const failure = { code: 500, type: 'boom', message: 'x' };
const options = { streaming: true, serviceLevels: [] };

describe('measureRun', () => {
  it('adds up a run done by hand', () => {
    const metrics = measureRun(
      [
        record({ startMs: 0, contentMs: [20, 30, 50] }),
        record({ startMs: 50, contentMs: [100, 150, 250] }),
        record({ startMs: 900, outcome: 'error', error: failure, contentMs: [], usage: null }),
        record({ startMs: 900, outcome: 'cancelled', contentMs: [], usage: null }),
      ],
      options,
    );
    expect(metrics['benchmark_duration']).toEqual({ unit: 'sec', avg: 0.25 });
    expect(metrics['request_throughput']).toEqual({ unit: 'requests/sec', avg: 8 });
    expect(metrics['output_token_throughput']).toEqual({ unit: 'tokens/sec', avg: 24 });
    expect(metrics['total_token_throughput']).toEqual({ unit: 'tokens/sec', avg: 104 });
    expect(metrics['request_count']?.avg).toBe(2);
    expect(metrics['error_request_count']?.avg).toBe(1);
    expect(metrics['request_error_rate']?.avg).toBeCloseTo(100 / 3);
    expect(metrics['time_to_first_token']).toMatchObject({ avg: 35, min: 20, max: 50, count: 2 });
    expect(metrics['inter_chunk_latency']).toMatchObject({ count: 4, sum: 180 });
    expect(metrics['inter_token_latency']).toMatchObject({ min: 15, max: 75 });
    expect(metrics['goodput']).toBeUndefined();
    expect(metrics['replay_sched_lag']).toBeUndefined();
  });

  it('counts failed requests as bad', () => {
    const records = [
      record({ contentMs: [20, 30, 50] }),
      record({ contentMs: [90, 91, 92] }),
      record({ outcome: 'error', error: failure, contentMs: [] }),
      record({ outcome: 'error', error: failure, contentMs: [] }),
    ];
    const metrics = measureRun(records, {
      streaming: true,
      serviceLevels: [{ metric: 'time_to_first_token', limit: 50 }],
    });
    expect(metrics['good_request_count']?.avg).toBe(1);
    expect(metrics['good_request_fraction']?.avg).toBe(0.25);
    expect(metrics['goodput']?.avg).toBeCloseTo(1 / 0.092);
  });

  it('reports cached tokens only where servers tell', () => {
    const usage = { promptTokens: 100, completionTokens: 3, cachedTokens: 40 };
    const metrics = measureRun([record({ usage }), record()], options);
    expect(metrics['cached_tokens']).toMatchObject({ count: 1, sum: 40 });
    expect(metrics['cache_hit_fraction']?.avg).toBe(0.4);
    expect(measureRun([record()], options)['cached_tokens']).toBeUndefined();
  });

  it('measures how late requests were sent, failed ones too', () => {
    const metrics = measureRun(
      [
        record({ scheduledMs: 0, startMs: 2 }),
        record({ scheduledMs: 10, startMs: 20, outcome: 'error', error: failure }),
      ],
      options,
    );
    expect(metrics['replay_sched_lag']).toMatchObject({ avg: 6, min: 2, max: 10, count: 2, unit: 'ms' });
  });

  it('makes no numbers out of nothing', () => {
    const metrics = measureRun([record({ outcome: 'error', error: failure, contentMs: [] })], options);
    expect(Object.keys(metrics).sort()).toEqual([
      'completed_request_count',
      'error_request_count',
      'osl_mismatch_count',
      'request_count',
      'request_error_rate',
    ]);
    for (const metric of Object.values(measureRun([], options))) expect(metric.avg).not.toBeNaN();
  });
});
