import { describe, expect, it } from 'vitest';
import { isGood, parseServiceLevels } from '../../../src/bench/service-level.ts';

describe('service levels', () => {
  it('reads AIPerf’s spelling', () => {
    expect(parseServiceLevels(' time_to_first_token:100  inter_token_latency:3.4 ')).toEqual([
      { metric: 'time_to_first_token', limit: 100 },
      { metric: 'inter_token_latency', limit: 3.4 },
    ]);
  });

  it('refuses unknown metrics and limits that are none', () => {
    for (const text of [
      'ttft:100',
      'time_to_first_token',
      'time_to_first_token:',
      'time_to_first_token:x',
      'request_latency:0',
      '',
    ])
      expect(() => parseServiceLevels(text), text).toThrow(/--goodput/);
  });

  it('keeps all limits or is bad; latencies are ceilings, rates are floors', () => {
    const levels = parseServiceLevels('time_to_first_token:100 output_token_throughput_per_user:50');
    expect(isGood({ time_to_first_token: 100, output_token_throughput_per_user: 50 }, levels)).toBe(true);
    expect(isGood({ time_to_first_token: 101, output_token_throughput_per_user: 50 }, levels)).toBe(false);
    expect(isGood({ time_to_first_token: 10, output_token_throughput_per_user: 49 }, levels)).toBe(false);
    expect(isGood({ time_to_first_token: 10 }, levels)).toBe(false);
  });
});
