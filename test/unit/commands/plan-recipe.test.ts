import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatPlan, prepareLaunch } from '../../../src/commands/plan-recipe.ts';
import { listRecipes, printSchema, showRecipe, validateRecipe } from '../../../src/commands/recipe-output.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const facts = [path.join(root, 'test/fixtures/facts/8xh100.json')];
const env = { DYNAMO_HOME: '/state' };

describe('prepareLaunch', () => {
  it('plans for the described machine, under the given name', async () => {
    const prepared = await prepareLaunch({
      recipe: 'vllm-disaggregated-8gpu',
      set: [],
      name: 'mine',
      facts,
      env,
      cwd: root,
    });
    expect(prepared.dir).toBe('/state/deployments/mine');
    expect(prepared.plan.deployment).toBe('mine');
    expect(prepared.plan.processes[0]?.gpus).toEqual([0, 1, 2, 3]);
    expect(prepared.plan.processes.at(-1)?.argv).toContain('/state/deployments/mine/discovery');
    expect(prepared.recipeText).toContain('tensor-parallel-size: 4');
  });

  it('has one recipe hash whatever the machine or the name, and JSON that says both hashes', async () => {
    const base = { recipe: 'quickstart', set: [], facts, env, cwd: root };
    const [first, second] = [
      await prepareLaunch(base),
      await prepareLaunch({ ...base, name: 'b', takenPorts: [8100] }),
    ];
    expect(second.recipeHash).toBe(first.recipeHash);
    const [a, b] = [first, second].map((prepared) => JSON.parse(formatPlan(prepared, true)));
    expect(a).toMatchObject({ schemaVersion: 1, recipeHash: first.recipeHash, plan: { deployment: 'quickstart' } });
    expect(a.planHash).not.toBe(b.planHash);
    expect(formatPlan(first, false)).toMatch(/^deployment {2}quickstart\n/);
  });

  it('lets recorded facts stand in for the hosts of a hosts file, with its limits, labels and environment', async () => {
    using tmp = tmpDir();
    const hosts = path.join(tmp.dir, 'hosts.yaml');
    writeFileSync(
      hosts,
      'hosts:\n  - { name: h100-1, gpus: [4, 5, 6, 7], stateDir: /scratch/state, env: { SITE: north } }\n  - h100-2\n',
    );
    const recorded = ['h100-1', 'h100-2'].map((name) => path.join(root, `test/fixtures/facts/${name}.json`));
    const base = { recipe: 'vllm-disaggregated-8gpu', facts: recorded, hosts, env, cwd: root };
    const { plan, hosts: entries } = await prepareLaunch(base);
    expect(entries?.map(({ name }) => name)).toEqual(['h100-1', 'h100-2']);
    const first = plan.processes.filter(({ host, role }) => host === 'h100-1' && role !== 'frontend');
    for (const { gpus, env: variables } of first) {
      expect(gpus.every((gpu) => gpu >= 4)).toBe(true);
      expect(variables).toMatchObject({ SITE: 'north' });
    }
    expect(plan.hosts).toContain('h100-2');
    await expect(prepareLaunch({ ...base, hosts: '/nowhere.yaml' })).rejects.toMatchObject({ code: 'HOSTS_INVALID' });
  });

  it('refuses names and fact files that are none', async () => {
    const base = { recipe: 'quickstart', set: [], env, cwd: root };
    await expect(prepareLaunch({ ...base, name: '../x' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(prepareLaunch({ ...base, facts: ['/nowhere.json'] })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(prepareLaunch({ ...base, set: ['workers.decode.gpus=x'] })).rejects.toMatchObject({
      code: 'RECIPE_INVALID',
      exitStatus: 3,
    });
  });
});

describe('dynamo recipe', () => {
  it('lists what comes with dynamo, a line each', () => {
    expect(listRecipes(false)).toMatch(/^quickstart +2 prefill and 2 decode workers/m);
    expect(JSON.parse(listRecipes(true)).recipes.length).toBe(listRecipes(false).trim().split('\n').length);
  });

  it('shows, checks and describes recipes', async () => {
    expect(await showRecipe('quickstart', { set: ['frontend.port=auto'] })).toContain('port: auto');
    expect(await showRecipe('quickstart', { set: [], json: true })).toContain('"replicas": 2');
    expect(await validateRecipe('quickstart', { set: [] })).toMatch(
      /quickstart\.yaml is valid: mock-model on 4 workers\n$/,
    );
    expect(JSON.parse(await validateRecipe('quickstart', { set: [], json: true }))).toMatchObject({ valid: true });
    expect(JSON.parse(printSchema())).toMatchObject({ type: 'object', additionalProperties: false });
  });
});
