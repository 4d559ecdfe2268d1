import { describe, expect, it } from 'vitest';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { planScaling } from '../../../src/plan/plan-change.ts';
import { type PlanInput, planLaunch } from '../../../src/plan/plan-launch.ts';
import { parseScaleTarget } from '../../../src/plan/scale-targets.ts';
import { loadText, recordedFacts } from '../../helpers/recipes.ts';

async function running(recipeText: string, ...facts: string[]): Promise<{ input: PlanInput; plan: LaunchPlan }> {
  const { recipe } = await loadText(recipeText);
  const hosts = facts.length === 0 ? ['8xh100'] : facts;
  const input: PlanInput = {
    recipe,
    deployment: recipe.name,
    facts: hosts.map((host) => recordedFacts(host)),
    selfCommand: ['dynamo'],
    discoveryRoot: '/state/discovery',
  };
  return { input, plan: planLaunch(input) };
}

const scale = ({ input, plan }: { input: PlanInput; plan: LaunchPlan }, ...targets: string[]) =>
  planScaling(input, plan, targets.map(parseScaleTarget));
const names = (specs: readonly { name: string }[]) => specs.map(({ name }) => name);

const SPLIT = `name: split
model: m
engine: vllm
workers: { prefill: { replicas: 2, gpus: 1 }, decode: { replicas: 1, gpus: 2, args: { tensor-parallel-size: 2 } } }
`;
const TWO_MODELS = `name: two
models:
  - { model: org/a, engine: mocker, workers: { prefill: {}, decode: {} } }
  - { model: b, engine: mocker, workers: { prefill: { replicas: 2 }, decode: {} } }
`;

describe('planScaling', () => {
  it('leaves what runs as it is, and gives new workers the next names, free GPUs and free ports', async () => {
    const before = await running(SPLIT);
    const change = scale(before, 'prefill=3', 'decode=2');
    expect(change.steps).toEqual([
      { group: 'prefill', from: 2, to: 3 },
      { group: 'decode', from: 1, to: 2 },
    ]);
    expect(names(change.plan.processes)).toEqual([
      ...['prefill-0', 'prefill-1', 'prefill-2', 'decode-0', 'decode-1', 'frontend'],
    ]);
    for (const spec of before.plan.processes) expect(change.plan.processes).toContainEqual(spec);
    expect(names(change.added)).toEqual(['prefill-2', 'decode-1']);
    const gpus = change.plan.processes.flatMap((spec) => spec.gpus);
    expect(new Set(gpus).size).toBe(gpus.length);
    const ports = change.plan.processes.flatMap((spec) => Object.values(spec.ports));
    expect(new Set(ports).size).toBe(ports.length);
    expect(change.plan.stages.at(-1)).toEqual(['frontend']);
    expect(change.plan.stages.flat().sort()).toEqual(names(change.plan.processes).sort());
    expect(change.pairs).toEqual([
      { prefill: 'prefill-0', decode: 'decode-1' },
      { prefill: 'prefill-1', decode: 'decode-1' },
      { prefill: 'prefill-2', decode: 'decode-0' },
      { prefill: 'prefill-2', decode: 'decode-1' },
    ]);
    expect(change.removed).toEqual([]);
  });

  it('spreads new workers around those that run', async () => {
    const before = await running(
      "name: s\nmodel: m\nengine: mocker\ndiscovery: { backend: etcd, endpoints: ['http://10.0.0.9:2379'] }\nworkers: { prefill: {}, decode: {} }\n",
      ...['h100-1', 'h100-2', 'h100-3'],
    );
    const hosts = (specs: readonly { name: string; host: string }[]) =>
      specs.map(({ name, host }) => `${name} ${host}`);
    expect(hosts(before.plan.processes)).toEqual(['prefill-0 h100-1', 'decode-0 h100-2', 'frontend h100-1']);
    expect(before.plan.hosts).toEqual(['h100-1', 'h100-2']);
    const change = scale(before, 'decode=2');
    expect(hosts(change.added)).toEqual(['decode-1 h100-3']);
    expect(change.plan.hosts).toEqual(['h100-1', 'h100-2', 'h100-3']);
    expect(hosts(scale({ input: change.input, plan: change.plan }, 'decode=3', 'prefill=2').added)).toEqual([
      ...['prefill-1 h100-2', 'decode-2 h100-1'],
    ]);
  });

  it('refuses what does not fit beside what runs', async () => {
    const before = await running(SPLIT);
    expect(() => scale(before, 'prefill=7')).toThrow(expect.objectContaining({ code: 'GPU_UNAVAILABLE' }));
  });

  it('takes the newest away, and a later growth names on', async () => {
    const before = await running(SPLIT);
    const less = scale(before, 'prefill=1');
    expect(less).toMatchObject({ removed: ['prefill-1'], added: [], pairs: [] });
    expect(names(less.plan.processes)).toEqual(['prefill-0', 'decode-0', 'frontend']);
    const more = scale({ input: less.input, plan: less.plan }, 'prefill=+2');
    expect(names(more.added)).toEqual(['prefill-1', 'prefill-2']);
  });

  it('changes nothing when the numbers are there already', async () => {
    const before = await running(SPLIT);
    const same = scale(before, 'prefill=2', 'decode=+0');
    expect(same).toMatchObject({ steps: [], added: [], removed: [] });
    expect(same.plan.processes).toEqual(before.plan.processes);
  });

  it('keeps the groups of several models apart, also when their names interleave', async () => {
    const before = await running(TWO_MODELS);
    expect(names(before.plan.processes)).toEqual([
      ...['prefill-0', 'decode-0', 'prefill-1', 'prefill-2', 'decode-1', 'frontend'],
    ]);
    const first = scale(before, 'org/a/prefill=2');
    expect(first.added.map(({ name, model }) => [name, model])).toEqual([['prefill-3', 'org/a']]);
    const second = scale({ input: first.input, plan: first.plan }, 'b/prefill=1', 'org/a/prefill=1');
    expect(second.removed.sort()).toEqual(['prefill-2', 'prefill-3']);
    expect(() => scale(before, 'prefill=2')).toThrow(
      expect.objectContaining({ code: 'USAGE', message: 'prefill means several groups' }),
    );
  });

  it('names several groups of one role by their number', async () => {
    const before = await running(
      'name: mixed\nmodel: m\nengine: mocker\nworkers: { aggregated: [ { replicas: 2 }, { replicas: 1 } ] }\n',
    );
    expect(() => scale(before, 'aggregated=2')).toThrow(
      expect.objectContaining({ hint: 'There are aggregated[0], aggregated[1].' }),
    );
    expect(scale(before, 'aggregated[0]=1').removed).toEqual(['aggregated-1']);
    expect(scale(before, 'aggregated[1]=2').added).toHaveLength(1);
  });

  it('counts on from a port that is written down', async () => {
    const before = await running(
      'name: fixed\nmodel: m\nengine: mocker\nworkers: { aggregated: { replicas: 2, port: 9100 } }\n',
    );
    const { added } = scale(before, 'aggregated=4');
    expect(added.map((spec) => spec.ports['http'])).toEqual([9102, 9103]);
    expect(added.map((spec) => spec.fixedPorts)).toEqual([['http'], ['http']]);
  });
});

describe('parseScaleTarget', () => {
  it.each(['prefill', 'prefill=', 'prefill=x', 'frontend=2', '=3', 'decode=-', 'decode=1.5', 'm/=2'])(
    'refuses %s',
    (text) => {
      expect(() => parseScaleTarget(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
  it('reads the model up to the last slash', () => {
    expect(parseScaleTarget('org/name/decode=-2')).toEqual({
      ...{ model: 'org/name', role: 'decode', ordinal: null, replicas: -2, relative: true },
    });
  });
});
