import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { planHash, recipeHash } from '../../../src/plan/plan-hash.ts';
import { planLaunch } from '../../../src/plan/plan-launch.ts';
import { maskPlan, renderPlan } from '../../../src/plan/render-plan.ts';
import { loadRecipe } from '../../../src/recipe/load-recipe.ts';
import { hostsOf, loadText, planText, recordedFacts } from '../../helpers/recipes.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const golden = (name: string) => path.join(root, 'test/fixtures/golden', name);
const recipes = readdirSync(path.join(root, 'recipes')).map((file) => path.basename(file, '.yaml'));

async function planBuiltIn(name: string, facts = hostsOf(name)) {
  const { recipe } = await loadRecipe(name, { set: [], env: {}, cwd: root });
  return planLaunch({
    recipe,
    deployment: recipe.name,
    facts,
    selfCommand: ['dynamo'],
    discoveryRoot: `/state/${recipe.name}/discovery`,
  });
}

describe('every recipe that comes with dynamo', () => {
  it.each(recipes)('%s loads, says what it is, and becomes the recorded plan', async (name) => {
    const { recipe } = await loadRecipe(name, { set: [], env: {}, cwd: root });
    expect(recipe.name).toBe(name);
    expect(recipe.description).toBeTruthy();
    const plan = await planBuiltIn(name);
    // What a recipe warns of stands in its recorded plan. Over several hosts neither the frontend nor etcd can stay on the loopback.
    const unusual = plan.warnings.filter(
      (text) => plan.hosts.length === 1 || !/without access control|etcd/.test(text),
    );
    expect(unusual.length > 0).toBe(name === 'gpt-oss-120b-1p1d');
    await expect(renderPlan(plan)).toMatchFileSnapshot(golden(`plan-${name}.txt`));
  });

  it('has a plan whose JSON is recorded too', async () => {
    const plan = await planBuiltIn('quickstart', [recordedFacts('no-gpu')]);
    await expect(`${JSON.stringify(maskPlan(plan), null, 2)}\n`).toMatchFileSnapshot(golden('plan-quickstart.json'));
  });
});

const SMALL = 'name: small\nmodel: m\nengine: mocker\nworkers: { prefill: {}, decode: { replicas: 2 } }\n';

describe('planLaunch', () => {
  it('starts all workers, then the frontends, and proves every pair', async () => {
    const plan = await planText(`${SMALL}frontend: { replicas: 2, port: 9000 }\n`);
    expect(plan.stages).toEqual([
      ['prefill-0', 'decode-0', 'decode-1'],
      ['frontend-0', 'frontend-1'],
    ]);
    expect(plan.pairs).toEqual([
      { prefill: 'prefill-0', decode: 'decode-0' },
      { prefill: 'prefill-0', decode: 'decode-1' },
    ]);
    expect(plan.processes.map((spec) => spec.ports['http'])).toEqual([8100, 8101, 8102, 9000, 9001]);
    expect(plan.processes.map((spec) => spec.fixedPorts)).toEqual([[], [], [], ['http'], ['http']]);
    expect(plan.endpoint).toBe('http://127.0.0.1:9000');
    expect(new Set(plan.processes.map((spec) => spec.name)).size).toBe(5);
    for (const spec of plan.processes) expect(spec.reasons.length).toBeGreaterThan(1);
  });

  it('pairs workers of the same model only, and numbers names over all models', async () => {
    const plan = await planText(`engine: mocker
models:
  - { model: a, workers: { prefill: {}, decode: {} } }
  - { model: b, workers: { prefill: {}, decode: {} } }
  - { model: c, workers: { aggregated: {} } }
`);
    expect(plan.models).toEqual(['a', 'b', 'c']);
    expect(plan.pairs).toEqual([
      { prefill: 'prefill-0', decode: 'decode-0' },
      { prefill: 'prefill-1', decode: 'decode-1' },
    ]);
    expect(plan.processes[0]?.readiness).toContainEqual({ kind: 'generate', model: 'a' });
  });

  it('skips ports that are in use or spoken for, and says so', async () => {
    const facts = recordedFacts('no-gpu', { listeningPorts: [22, 8000, 8101, 5600] });
    const plan = await planText(SMALL, facts, { takenPorts: [8102] });
    const [prefill, decode] = plan.processes;
    expect(plan.processes.map((spec) => spec.ports['http'])).toEqual([8100, 8103, 8104, 8001]);
    expect(prefill?.ports['sideChannel']).toBe(5601);
    expect(decode?.reasons).toContain('HTTP port 8103: the first free one from 8100 (in use: 8101)');
  });

  it('gives the frontend the block size of its workers', async () => {
    const plan = await planText(
      SMALL.replace('{ replicas: 2 }', '{ args: { block-size: 16 } }').replace(
        'prefill: {}',
        'prefill: { args: { block-size: 16 } }',
      ),
    );
    const argv = plan.processes.at(-1)!.argv;
    expect(argv[argv.indexOf('--kv-cache-block-size') + 1]).toBe('16');
  });

  it('passes timeouts, policies and probes on in milliseconds', async () => {
    const plan = await planText(`model: m
engine: mocker
workers:
  aggregated:
    startTimeout: 2m
    restart: { policy: on-failure, initialBackoff: 2s, maxBackoff: 1s, maxRestarts: 1, resetAfter: 3s }
    liveness: false
    drain: { inFlight: 1s }
    port: 9100
frontend: { liveness: { period: 1s, failures: 9 } }
`);
    expect(plan.processes[0]).toMatchObject({
      startTimeoutMs: 120_000,
      restart: {
        policy: 'on-failure',
        backoff: { initialMs: 2_000, maxMs: 2_000, factor: 2 },
        maxRestarts: 1,
        resetAfterMs: 3_000,
      },
      liveness: null,
      drain: { inFlightMs: 1_000, killAfterMs: 10_000 },
      ports: { http: 9100 },
      fixedPorts: ['http'],
      kvTransfer: null,
    });
    expect(plan.processes[1]?.liveness).toEqual({
      check: { kind: 'http', path: '/live' },
      periodMs: 1_000,
      timeoutMs: 5_000,
      failures: 9,
    });
  });

  it('listens on a wildcard but probes the loopback, and warns', async () => {
    const plan = await planText(`${SMALL}frontend: { host: '::' }\n`);
    expect(plan.endpoint).toBe('http://[::1]:8000');
    expect(plan.warnings).toEqual(['the frontend listens on :: without access control: whoever reaches it can use it']);
  });

  it('warns of what is ignored, too slow, missing or written down though secret', async () => {
    const plan = await planText(
      `models:
  - { model: a, engine: mocker, workers: { aggregated: { gpus: 2, args: { startup-time: 60 }, env: { API_KEY: abc } } } }
  - { model: b, workers: { aggregated: { gpus: 0 } } }
`,
      recordedFacts('no-gpu', { commands: { vllm: null } }),
    );
    expect(plan.warnings).toEqual([
      'aggregated workers run the mocker, which uses no GPU: `gpus: 2` is ignored',
      expect.stringMatching(/^`vllm` was not found on local\. Install it/),
      'API_KEY looks like a secret and would be stored with the plan; write { fromEnv: API_KEY } instead',
      'aggregated workers take 60 s to start but have 30.0 s for it: raise `startTimeout`',
    ]);
  });

  it('shows no secret, neither to people nor as JSON', async () => {
    const plan = await planText(`model: m
workers:
  aggregated:
    gpus: 0
    env: { HF_TOKEN: { fromEnv: HF_TOKEN }, AWS_SECRET_ACCESS_KEY: hunter2, PIN: { fromFile: /run/pin } }
`);
    const [text, json] = [renderPlan(plan), JSON.stringify(maskPlan(plan))];
    expect(text + json).not.toContain('hunter2');
    expect(text).toContain('HF_TOKEN=<from env HF_TOKEN>');
    expect(text).toContain('PIN=<from file /run/pin>');
    expect(json).toContain('"HF_TOKEN":{"fromEnv":"HF_TOKEN"}');
  });

  it('is pure: the same input gives the same plan', async () => {
    const [first, second] = [await planText(SMALL), await planText(SMALL)];
    expect(second).toEqual(first);
    expect(planHash(second)).toBe(planHash(first));
  });
});

describe('recipeHash', () => {
  const hashOf = async (text: string) => recipeHash((await loadText(text)).recipe);

  it('does not depend on what is free, on how it is written, or on words for people', async () => {
    const base = await hashOf(SMALL);
    expect(await hashOf(`# comment\n${SMALL}description: other\n`)).toBe(base);
    expect(await hashOf(SMALL.replace('prefill: {}', 'prefill: [{ replicas: 1 }]'))).toBe(base);
    const asList =
      'name: small\nengine: mocker\nmodels: [{ model: m, workers: { prefill: {}, decode: { replicas: 2 } } }]\n';
    expect(await hashOf(asList)).toBe(base);
  });

  it('changes with anything that changes a process', async () => {
    const base = await hashOf(SMALL);
    const changes = [
      SMALL.replace('replicas: 2', 'replicas: 3'),
      SMALL.replace('prefill: {}', 'prefill: { args: { seed: 1 } }'),
      SMALL.replace('prefill: {}', 'prefill: { env: { path: x } }'),
      `${SMALL}startLease: 61s\n`,
    ];
    const hashes = await Promise.all(changes.map(hashOf));
    expect(new Set([base, ...hashes]).size).toBe(changes.length + 1);
  });
});
