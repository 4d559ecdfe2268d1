import { describe, expect, it } from 'vitest';
import { parsePrometheusText } from '../../../../src/telemetry/prometheus-text.ts';
import { bucketDelta, quantileOf } from '../../../../src/tui/data/histogram-delta.ts';
import { readLoad } from '../../../../src/tui/data/process-load.ts';
import { readFrontend, trafficPoint } from '../../../../src/tui/data/traffic.ts';

const buckets = (counts: Record<string, number>) =>
  new Map(Object.entries(counts).map(([bound, count]) => [Number(bound), count]));

describe('quantileOf', () => {
  it('interpolates inside the bucket, from zero in the first', () => {
    const counts = buckets({ 0.1: 10, 0.2: 20, Infinity: 20 });
    expect(quantileOf(counts, 0.5)).toBeCloseTo(0.1);
    expect(quantileOf(counts, 0.75)).toBeCloseTo(0.15);
    expect(quantileOf(counts, 0.25)).toBeCloseTo(0.05);
  });

  it('says the highest bound for what is above all of them, and nothing for nothing', () => {
    expect(quantileOf(buckets({ 1: 0, Infinity: 5 }), 0.5)).toBe(1);
    expect(quantileOf(buckets({ 1: 0, Infinity: 0 }), 0.5)).toBeNull();
    expect(quantileOf(new Map(), 0.5)).toBeNull();
  });
});

describe('bucketDelta', () => {
  it('counts what is new; a counter that fell started anew', () => {
    expect(bucketDelta(buckets({ 1: 3, Infinity: 5 }), buckets({ 1: 4, Infinity: 9 }))).toEqual(
      buckets({ 1: 1, Infinity: 4 }),
    );
    expect(bucketDelta(buckets({ 1: 3, Infinity: 5 }), buckets({ 1: 1, Infinity: 1 }))).toEqual(
      buckets({ 1: 1, Infinity: 1 }),
    );
  });
});

function frontendText(requests: number, tokens: number, cached: number, fast: number, slow: number): string {
  return `
dynamo_frontend_requests_total{model="a",status="success"} ${requests - 1}
dynamo_frontend_requests_total{model="b",status="error"} 1
dynamo_frontend_output_tokens_total{model="a"} ${tokens}
dynamo_frontend_input_sequence_tokens_sum{model="a"} ${requests * 100}
dynamo_frontend_cached_tokens_sum{model="a"} ${cached}
dynamo_frontend_active_requests{model="a"} 3
dynamo_frontend_time_to_first_token_seconds_bucket{model="a",le="0.1"} ${fast}
dynamo_frontend_time_to_first_token_seconds_bucket{model="a",le="1"} ${fast + slow}
dynamo_frontend_time_to_first_token_seconds_bucket{model="a",le="+Inf"} ${fast + slow}
`;
}
const reading = (...counts: Parameters<typeof frontendText>) =>
  readFrontend(parsePrometheusText(frontendText(...counts)));
const worker = { running: 1, waiting: 2, kvUsage: 0.5, tokensPerSecond: 1 };

describe('trafficPoint', () => {
  it('joins all frontends: rates, quantiles and the share of cached prompt tokens', () => {
    const pairs = [
      { before: reading(10, 1_000, 0, 10, 0), after: reading(20, 3_000, 500, 20, 0) },
      { before: reading(10, 1_000, 0, 10, 0), after: reading(30, 2_000, 500, 10, 20) },
    ];
    const point = trafficPoint(pairs, { a: worker, b: worker, frontend: { ...worker, waiting: null } }, 2_000);
    expect(point).toMatchObject({ requestsPerSecond: 15, tokensPerSecond: 1_500, active: 6, queued: 4 });
    expect(point.cacheHitRate).toBeCloseTo(1_000 / 3_000);
    expect(point.ttftP50).toBeGreaterThan(0.1);
    expect(point.itlP50).toBeNull();
  });

  it('says nothing of latencies and cache while nothing is asked, and nothing at all without a frontend', () => {
    const same = reading(10, 1_000, 0, 10, 0);
    expect(trafficPoint([{ before: same, after: same }], {}, 2_000)).toMatchObject({
      requestsPerSecond: 0,
      ttftP50: null,
      cacheHitRate: null,
      queued: null,
    });
    expect(trafficPoint([], { a: worker }, 2_000)).toMatchObject({ requestsPerSecond: null, queued: 2 });
  });

  it('takes a restarted frontend as new', () => {
    const point = trafficPoint(
      [{ before: reading(1_000, 9_000, 0, 9, 0), after: reading(4, 100, 0, 4, 0) }],
      {},
      2_000,
    );
    expect(point).toMatchObject({ requestsPerSecond: 2, tokensPerSecond: 50 });
  });
});

describe('readLoad', () => {
  const samples = parsePrometheusText(`
vllm:num_requests_running{engine="0"} 2.0
vllm:num_requests_running{engine="1"} 3.0
vllm:num_requests_waiting{engine="0"} 1.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:prompt_tokens_total{engine="0"} 4000
vllm:generation_tokens_total{engine="0"} 900
`);

  it('counts prompt tokens of prefill workers and generated ones of others', () => {
    expect(readLoad({ role: 'prefill', engine: 'vllm' }, samples, 2_000, { atMs: 0, tokens: 2_000 }).load).toEqual({
      running: 5,
      waiting: 1,
      kvUsage: 0.25,
      tokensPerSecond: 1_000,
    });
    expect(
      readLoad({ role: 'decode', engine: 'vllm' }, samples, 2_000, { atMs: 0, tokens: 100 }).load.tokensPerSecond,
    ).toBe(400);
  });

  it('has no rate at first, nor from metrics it does not know; a restarted worker counts from zero', () => {
    expect(readLoad({ role: 'decode', engine: 'vllm' }, samples, 2_000, undefined).load.tokensPerSecond).toBeNull();
    expect(readLoad({ role: 'decode', engine: 'vllm' }, [], 2_000, { atMs: 0, tokens: 5 }).load).toEqual({
      running: null,
      waiting: null,
      kvUsage: null,
      tokensPerSecond: null,
    });
    expect(
      readLoad({ role: 'decode', engine: 'vllm' }, samples, 1_000, { atMs: 0, tokens: 99_999 }).load.tokensPerSecond,
    ).toBe(900);
  });
});
