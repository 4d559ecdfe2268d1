import { describe, expect, it } from 'vitest';
import { kvEventSourceOf } from '../../../src/plan/kv-event-source.ts';

const ports = { http: 8100, kvEvents: 7100, kvReplay: 7600 };

describe('kvEventSourceOf', () => {
  it('is the worker’s own address, with a port a rank', () => {
    expect(kvEventSourceOf({ ports, url: 'http://10.0.0.7:8100', argv: ['vllm', 'serve'] })).toEqual({
      events: 'tcp://10.0.0.7:7100',
      replay: 'tcp://10.0.0.7:7600',
      ranks: 1,
    });
    const ranked = { ports, url: 'http://[fd00::7]:8100', argv: ['vllm', 'serve', '--data-parallel-size', '4'] };
    expect(kvEventSourceOf(ranked)).toMatchObject({ events: 'tcp://[fd00::7]:7100', ranks: 4 });
  });

  it('is nothing for a worker without such a port', () => {
    expect(kvEventSourceOf({ ports: { http: 8100 }, url: 'http://10.0.0.7:8100', argv: [] })).toBeNull();
  });
});
