import { describe, expect, it } from 'vitest';
import { isOslMismatch, measureRequest } from '../../../src/bench/request-metrics.ts';
import { record } from './fixtures.ts';

describe('measureRequest', () => {
  it('follows the definitions on a case done by hand', () => {
    const metrics = measureRequest(record({ startMs: 5, contentMs: [25, 35, 65], firstOutputMs: 35 }), true);
    expect(metrics).toEqual({
      request_latency: 60,
      output_sequence_length: 3,
      input_sequence_length: 10,
      e2e_output_token_throughput: 50,
      osl_mismatch_diff_pct: 0,
      time_to_first_token: 20,
      time_to_first_output_token: 30,
      prefill_throughput_per_user: 500,
      decode_duration: 40,
      time_to_second_token: 10,
      inter_chunk_latency: [10, 30],
      inter_token_latency: 20,
      output_token_throughput_per_user: 50,
    });
  });

  it('reproduces a request of a real AIPerf 0.13.0 export from its chunk times', () => {
    // First line of its profile_export.jsonl: TTFT and gaps in, the rest out.
    const ttft = 56.944193999999996;
    const gaps = [
      1.0731659999999998, 4.672241, 4.420091, 5.016420999999999, 5.967606, 5.0153229999999995, 4.742871, 3.696258,
      5.869095, 5.358605, 4.6081769999999995, 4.398635, 4.581738, 6.223234, 3.859727, 6.354308, 4.740184, 3.771147,
      6.473688, 3.9547429999999997, 5.816909, 4.190786, 6.050225999999999, 4.641115999999999, 5.09681, 4.587812,
      5.717853, 4.668207, 4.125649, 5.867038, 4.020504,
    ];
    const contentMs = [ttft];
    for (const gap of gaps) contentMs.push(contentMs.at(-1)! + gap);
    const usage = { promptTokens: 36, completionTokens: 32, cachedTokens: null };
    const metrics = measureRequest(record({ contentMs, usage, asked: { isl: 32, osl: 32 } }), true);
    expect(metrics.request_latency).toBeCloseTo(206.524362, 9);
    expect(metrics.inter_token_latency).toBeCloseTo(4.825166709677419, 9);
    expect(metrics.output_token_throughput_per_user).toBeCloseTo(207.24672538140214, 6);
    expect(metrics.prefill_throughput_per_user).toBeCloseTo(632.1979023884331, 6);
    expect(metrics.e2e_output_token_throughput).toBeCloseTo(154.94540058184515, 6);
    expect(metrics.decode_duration).toBeCloseTo(149.580168, 9);
    expect(metrics.time_to_second_token).toBeCloseTo(1.0731659999999998, 9);
  });

  it('leaves out what a response cannot have', () => {
    const whole = measureRequest(record({ contentMs: [80] }), false);
    expect(Object.keys(whole)).not.toContain('time_to_first_token');
    expect(whole.request_latency).toBe(80);
    const oneToken = measureRequest(
      record({ contentMs: [80], usage: { promptTokens: 1, completionTokens: 1, cachedTokens: null } }),
      true,
    );
    expect(Object.keys(oneToken)).not.toContain('inter_token_latency');
    expect(Object.keys(oneToken)).not.toContain('inter_chunk_latency');
    // Three tokens in one read: a latency per token of 0 is true, a rate of infinity is not a measurement.
    const oneRead = measureRequest(record({ contentMs: [80, 80, 80] }), true);
    expect(oneRead.inter_token_latency).toBe(0);
    expect(oneRead.output_token_throughput_per_user).toBeUndefined();
  });

  it('counts chunks and what was asked where the server says nothing', () => {
    const metrics = measureRequest(record({ usage: null, asked: { isl: 77, osl: 3 } }), true);
    expect(metrics).toMatchObject({ input_sequence_length: 77, output_sequence_length: 3 });
  });
});

describe('isOslMismatch', () => {
  it('allows 5 %, and never more than 50 tokens', () => {
    expect([isOslMismatch(100, 95), isOslMismatch(100, 94), isOslMismatch(100, 106)]).toEqual([false, true, true]);
    expect([isOslMismatch(2_000, 1_950), isOslMismatch(2_000, 1_949)]).toEqual([false, true]);
    expect([isOslMismatch(10, 10), isOslMismatch(10, 9)]).toEqual([false, true]);
  });
});
