import { describe, expect, it } from 'vitest';
import { kvEventSourceOf } from '../../../src/plan/kv-event-source.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

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

const facts = [recordedFacts('h100-1'), recordedFacts('h100-2')];
const ofLeader = async (group: string) => {
  const plan = await planText(`model: m\nkvEvents: true\nworkers: { aggregated: ${group} }\n`, facts);
  return kvEventSourceOf(plan.processes[0]!);
};

it('names a port for each data-parallel rank that runs there', async () => {
  const source = { events: 'tcp://10.0.0.11:7100', replay: 'tcp://10.0.0.11:7600' };
  expect(await ofLeader('{ args: { data-parallel-size: 4 } }')).toEqual({ ...source, ranks: 4 });
  expect(await ofLeader('{ nodes: 2, args: { data-parallel-size: 16 } }')).toEqual({ ...source, ranks: 8 });
  expect(await ofLeader('{ nodes: 2, args: { tensor-parallel-size: 16 } }')).toEqual({ ...source, ranks: 1 });
});
