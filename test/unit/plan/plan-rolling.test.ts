import { describe, expect, it } from 'vitest';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { type PlanInput, planLaunch } from '../../../src/plan/plan-launch.ts';
import { onTheWay, planOf, previewRolling, rollingObstacles, staleProcesses } from '../../../src/plan/plan-rolling.ts';
import { loadText, recordedFacts } from '../../helpers/recipes.ts';

interface Running {
  input: PlanInput;
  plan: LaunchPlan;
}

async function planned(text: string, ...facts: string[]): Promise<Running> {
  const { recipe } = await loadText(text);
  const hosts = facts.length === 0 ? ['8xh100'] : facts;
  const input: PlanInput = {
    ...{ recipe, deployment: recipe.name, facts: hosts.map((host) => recordedFacts(host)) },
    ...{ selfCommand: ['dynamo'], discoveryRoot: '/state/discovery' },
  };
  return { input, plan: planLaunch(input) };
}

function preview(before: Running, after: Running, known?: string[]) {
  const stale = staleProcesses(before.input, after.input, before.plan, known);
  const steps = previewRolling(onTheWay(before.input, after.input, before.plan), before.plan, {
    target: after.input,
    stale,
  });
  return { stale, steps, what: steps.map((step) => step.what) };
}

const recipe = (prefill: string, decode: string, more = '') =>
  `name: r\nmodel: m\nengine: vllm\nworkers: { prefill: { ${prefill} }, decode: { ${decode} } }\n${more}`;
const BASE = recipe('replicas: 2, gpus: 1', 'replicas: 2, gpus: 1');

describe('a rolling replacement', () => {
  it('has nothing to do for the same recipe, or for hooks alone', async () => {
    const before = await planned(BASE);
    expect(preview(before, await planned(BASE))).toMatchObject({ stale: [], steps: [] });
    expect(preview(before, await planned(`${BASE}hooks: { onReady: a }\n`)).steps).toEqual([]);
  });

  it('replaces what changed in place, one after the other, on its GPUs and with its place in the plan', async () => {
    const before = await planned(BASE);
    const after = await planned(recipe('replicas: 2, gpus: 1, env: { A: 1 }', 'replicas: 2, gpus: 1'));
    const { steps, what } = preview(before, after);
    expect(what).toEqual(['prefill-0: replaced in place', 'prefill-1: replaced in place']);
    for (const step of steps) {
      const old = before.plan.processes.find(({ name }) => name === step.removed[0])!;
      expect(step.added).toMatchObject([{ name: old.name, host: old.host, gpus: old.gpus, env: { A: '1' } }]);
      expect(step.processes.map(({ name }) => name)).toEqual(before.plan.processes.map(({ name }) => name));
      expect(step.between?.processes.map(({ name }) => name)).not.toContain(old.name);
    }
    const last = steps.at(-1)!;
    const plan = planOf(last.recipe, before.plan, last.processes, last.stages);
    expect(plan.pairs).toEqual(before.plan.pairs);
    expect(plan.stages.flat().sort()).toEqual(before.plan.stages.flat().sort());
    const ports = last.processes.flatMap((spec) => Object.values(spec.ports));
    expect(new Set(ports).size).toBe(ports.length);
  });

  it('puts the only one of its kind beside the old one where there is room, and says so where there is none', async () => {
    const small = await planned(recipe('gpus: 1', 'replicas: 2, gpus: 1'));
    const room = preview(small, await planned(recipe('gpus: 1, env: { A: 1 }', 'replicas: 2, gpus: 1')));
    expect(room.what).toEqual(['prefill-0: replaced by prefill-1, which is up before it goes']);
    expect(room.steps[0]!.added[0]!.gpus).not.toEqual(small.plan.processes[0]!.gpus);
    const full = await planned(
      recipe('gpus: 4, args: { tensor-parallel-size: 4 }', 'gpus: 4, args: { tensor-parallel-size: 4 }'),
    );
    const none = preview(
      full,
      await planned(
        recipe(
          'gpus: 4, args: { tensor-parallel-size: 4 }, env: { A: 1 }',
          'gpus: 4, args: { tensor-parallel-size: 4 }',
        ),
      ),
    );
    expect(none.steps).toMatchObject([{ kind: 'in-place', loses: true }]);
    expect(none.what[0]).toContain('it is the only prefill worker');
  });

  it('adds first, removes last, and gives up GPUs first where there are too few', async () => {
    const before = await planned(BASE);
    const more = preview(before, await planned(recipe('replicas: 3, gpus: 1, env: { A: 1 }', 'gpus: 1')));
    expect(more.what).toEqual([
      ...['prefill 2 → 3', 'prefill-0: replaced in place', 'prefill-1: replaced in place', 'decode-1: removed'],
    ]);
    const full = await planned(recipe('replicas: 6, gpus: 1', 'replicas: 2, gpus: 1'));
    const swap = preview(full, await planned(recipe('replicas: 2, gpus: 1', 'replicas: 6, gpus: 1')));
    expect(swap.what).toEqual(['prefill-5, prefill-4, prefill-3, prefill-2: removed', 'decode 2 → 6']);
    const last = swap.steps.at(-1)!;
    const gpus = last.processes.flatMap((spec) => spec.gpus);
    expect(new Set(gpus).size).toBe(8);
  });

  it('keeps groups of one role apart', async () => {
    const group = (env: string) =>
      `{ aggregated: [{ replicas: 2, gpus: 1 }, { replicas: 2, gpus: 2, args: { tensor-parallel-size: 2 }${env} }] }`;
    const text = (env = '') => `name: g\nmodel: m\nengine: vllm\nworkers: ${group(env)}\n`;
    const before = await planned(text());
    const { what, steps } = preview(before, await planned(text(', env: { A: 1 }')));
    expect(what).toEqual(['aggregated-2: replaced in place', 'aggregated-3: replaced in place']);
    expect(steps.at(-1)!.processes.map((spec) => spec.gpus.length)).toEqual([1, 1, 2, 2, 0]);
    const without = await planned(
      'name: g\nmodel: m\nengine: vllm\nworkers: { aggregated: { replicas: 2, gpus: 1 } }\n',
    );
    expect(preview(before, without).what).toEqual(['aggregated-3, aggregated-2: removed']);
    expect(preview(without, before).what).toEqual(['aggregated[1] 0 → 2']);
  });

  it('replaces frontends on their ports, and says when there is only one', async () => {
    const before = await planned(`${BASE}frontend: { replicas: 2, port: auto }\n`);
    const after = await planned(`${BASE}frontend: { replicas: 2, port: auto, routerMode: random }\n`);
    const { steps } = preview(before, after);
    expect(steps.map(({ loses, added }) => [loses, added[0]!.url, added[0]!.fixedPorts])).toEqual(
      before.plan.processes.filter(({ role }) => role === 'frontend').map(({ url }) => [false, url, []]),
    );
    const one = preview(await planned(BASE), await planned(`${BASE}frontend: { routerMode: random }\n`));
    expect(one.steps).toMatchObject([{ kind: 'in-place', loses: true, added: [{ name: 'frontend' }] }]);
  });

  it('keeps ports that are written down', async () => {
    const before = await planned(recipe('replicas: 2, gpus: 1, port: 9000', 'gpus: 1'));
    const { steps } = preview(
      before,
      await planned(recipe('replicas: 2, gpus: 1, port: 9000, env: { A: 1 }', 'gpus: 1')),
    );
    expect(steps.map(({ added }) => added[0]!.ports['http'])).toEqual([9000, 9001]);
  });

  it('goes on with what an earlier one left', async () => {
    const before = await planned(BASE);
    expect(preview(before, await planned(BASE), ['decode-1']).what).toEqual(['decode-1: replaced in place']);
  });

  it('says what cannot be reached one process at a time', async () => {
    const { input } = await planned(BASE);
    const other = (text: string) => planned(text).then((after) => rollingObstacles(input.recipe, after.input.recipe));
    expect(await other(BASE)).toEqual([]);
    expect(await other(`${BASE}servedModelName: x\n`)).toEqual(['the models it serves']);
    expect(await other(`${BASE}startLease: 5s\nfrontend: { replicas: 2 }\n`)).toEqual([
      'startLease',
      'frontend.replicas',
    ]);
    expect(await other('name: r\nmodel: m\nengine: vllm\nworkers: { aggregated: { gpus: 1 } }\n')).toEqual([
      'the roles of the workers of m',
    ]);
  });

  it('leaves hosts that are no longer named, also with workers that span them, and moves nobody else', async () => {
    const text = `name: h
model: m
engine: mocker
discovery: { backend: etcd, endpoints: ['http://10.0.0.9:2379'] }
workers: { prefill: { replicas: 2 }, decode: { nodes: 2 } }
`;
    const before = await planned(text, 'h100-1', 'h100-2', 'h100-3');
    const hostsOf = (plan: LaunchPlan) => plan.processes.map(({ name, host }) => `${name} ${host}`);
    expect(hostsOf(before.plan)).toEqual([
      ...['prefill-0 h100-1', 'prefill-1 h100-2', 'decode-0 h100-1', 'decode-0-node1 h100-2', 'frontend h100-1'],
    ]);
    const { what, stale, steps } = preview(before, await planned(text, 'h100-1', 'h100-3'));
    expect(stale).toEqual(['prefill-1', 'decode-0']);
    expect(what).toEqual([
      'prefill-1: replaced by one on h100-3',
      'decode-0: replaced by decode-1, which is up before it goes',
    ]);
    expect(steps.at(-1)!.processes.map(({ host }) => host)).not.toContain('h100-2');
    const same = await planned(text, 'h100-1', 'h100-2', 'h100-3', 'h100-4');
    expect(preview(before, same).steps).toEqual([]);
  });

  it('moves a frontend only where its host is no longer named', async () => {
    const text = (mode: string) => `${BASE}frontend: { routerMode: ${mode}, replicas: 2 }\n`;
    const before = await planned(text('kv'), 'h100-1', 'h100-2');
    const hostsIn = async (...facts: string[]) =>
      preview(before, await planned(text('random'), ...facts)).steps.map(({ added }) => added[0]!.host);
    expect(await hostsIn('h100-2', 'h100-1')).toEqual(['h100-1', 'h100-1']);
    expect((await hostsIn('h100-2')).slice(-2)).toEqual(['h100-2', 'h100-2']);
  });
});
