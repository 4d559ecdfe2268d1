import { expect, it } from 'vitest';
import { kvEventSourceOf } from '../../../src/plan/kv-event-source.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

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
