// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how recipes refer to variables
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadText, problemsOf } from '../../helpers/recipes.ts';

const BASE = `engine: mocker
model: m
frontend: { port: 8000, routerMode: kv }
workers:
  aggregated: { replicas: 2, args: { block-size: 64, seed: 1 } }
`;

describe('base', () => {
  it('is merged key by key, replaced elsewhere, and thinned out by null', async () => {
    const { recipe, sources } = await loadText({
      files: {
        'base.yaml': BASE,
        'middle.yaml': 'base: base.yaml\nfrontend: { routerMode: random }\n',
        'recipe.yaml': 'base: ./middle.yaml\nworkers: { aggregated: { args: { seed: null, block-size: 32 } } }\n',
      },
    });
    expect(recipe.frontend).toMatchObject({ port: 8000, routerMode: 'random' });
    expect(recipe.models[0]?.groups[0]).toMatchObject({ replicas: 2, args: { 'block-size': 32 } });
    expect(sources.map((file) => path.basename(file))).toEqual(['recipe.yaml', 'middle.yaml', 'base.yaml']);
    expect(recipe.name).toBe('recipe');
  });

  it('is named as the place of what is wrong in it', async () => {
    const found = await problemsOf({
      files: {
        'base.yaml': BASE.replace('kv', 'kvv'),
        'recipe.yaml': 'base: base.yaml\nfrontend: { replicas: none }\n',
      },
    });
    expect(found).toEqual([
      'base.yaml:3:37: expected one of kv, round-robin, random, least-loaded, power-of-two, direct, found the text "kvv"; did you mean `kv`?',
      'recipe.yaml:2:23: expected a number, found the text "none"',
    ]);
  });

  it('that goes in a circle or is not there is a problem at its line', async () => {
    const circle = { 'a.yaml': 'base: recipe.yaml\n', 'recipe.yaml': `base: a.yaml\n${BASE}` };
    expect(await problemsOf({ files: circle })).toEqual([
      'a.yaml:1:7: `base` goes in a circle: recipe.yaml → a.yaml → recipe.yaml',
    ]);
    expect(await problemsOf(`base: ./gone.yaml\n${BASE}`)).toEqual([
      expect.stringMatching(/^recipe\.yaml:1:7: cannot read .*gone\.yaml: ENOENT$/),
    ]);
  });

  it('and the recipe may both use anchors, merge keys and x- keys', async () => {
    const { recipe } = await loadText(`x-shared: &shared { block-size: 16, seed: 3 }
model: m
engine: mocker
workers: { aggregated: { args: { <<: *shared, seed: 4 } } }
`);
    expect(recipe.models[0]?.groups[0]?.args).toEqual({ 'block-size': 16, seed: 4 });
  });
});

describe('--set', () => {
  const set = (...values: string[]) => ({ files: { 'recipe.yaml': BASE }, set: values });

  it('overrides, adds, removes and reads the value as YAML', async () => {
    const { recipe } = await loadText(
      set(
        'workers.aggregated.replicas=5',
        'frontend.port=null',
        'workers.aggregated.args."max-model-len"=4096',
        'workers.aggregated.env={ A: "x=y", B: { fromEnv: TOKEN } }',
        'discovery.ttl=20s',
      ),
    );
    expect(recipe.frontend.port).toBeUndefined();
    expect(recipe.discovery.ttl).toBe(20_000);
    expect(recipe.models[0]?.groups[0]).toMatchObject({
      replicas: 5,
      args: { 'block-size': 64, 'max-model-len': 4096 },
      env: { A: 'x=y', B: { fromEnv: 'TOKEN' } },
    });
  });

  it('reaches into lists by index, with or without brackets, and appends at their end', async () => {
    const files = {
      'recipe.yaml': 'engine: mocker\nmodels: [{ model: a, workers: { aggregated: [{ replicas: 1 }] } }]\n',
    };
    const { recipe } = await loadText({
      files,
      set: ['models[0].workers.aggregated.0.replicas=3', 'models.1={ model: b, workers: { aggregated: {} } }'],
    });
    expect(recipe.models.map((model) => [model.model, model.groups[0]?.replicas])).toEqual([
      ['a', 3],
      ['b', 1],
    ]);
  });

  it('is named by its number, with the position inside it', async () => {
    const found = await problemsOf(
      set('workers.aggregated.replicas=0', 'frontend.prot=1', 'nonsense', 'model.name=x', 'base=other.yaml', 'a..b=1'),
    );
    expect(found).toEqual([
      '--set #1:1:29: expected at least 1, found 0',
      '--set #2:1:1: unknown key `prot` in `frontend`; did you mean `port`?',
      '--set #3:1:1: expected path=value, such as workers.prefill.replicas=2',
      '--set #4:1:1: `model` is a plain value and has no `name` inside',
      '--set #5:1:1: `base` is part of the file and cannot be overridden',
      '--set #6:1:1: not a path; expected keys with dots between them',
    ]);
    expect(await problemsOf(set('frontend.host="open', 'nonsense'))).toEqual([
      expect.stringMatching(/^--set #1:1:\d+: not valid YAML: missing closing/),
      '--set #2:1:1: expected path=value, such as workers.prefill.replicas=2',
    ]);
  });

  it('cannot reach past a list', async () => {
    const found = await problemsOf({
      files: { 'recipe.yaml': 'engine: mocker\nmodels: [{ model: a, workers: { aggregated: {} } }]\n' },
      set: ['models[4].model=x'],
    });
    expect(found).toEqual(['--set #1:1:1: `models` is a list of 1; expected an index from 0 to 1, found `4`']);
  });
});

describe('environment variables', () => {
  const recipe = (text: string, env: NodeJS.ProcessEnv) => loadText({ files: { 'recipe.yaml': BASE + text }, env });

  it('become values of their own type unless quoted', async () => {
    const loaded = await recipe('description: "${N}"\nstartLease: ${LEASE:-90s}\nx-a: 1\n', { N: '5' });
    expect(loaded.recipe).toMatchObject({ description: '5', startLease: 90_000 });
    const port = await loadText({
      files: { 'recipe.yaml': `${BASE.replace('frontend:', 'x-f:')}frontend:\n  port: \${PORT:-8001}\n` },
      env: { PORT: '' },
    });
    expect(port.recipe.frontend.port).toBe(8001);
  });

  it('never become structure, and `$${` stays as it is written', async () => {
    const loaded = await recipe('description: ${X}\n', { X: '{ a: 1 } # no comment' });
    expect(loaded.recipe.description).toBe('{ a: 1 } # no comment');
    expect((await recipe('description: a $${X} b\n', {})).recipe.description).toBe('a ${X} b');
  });

  it('that are not set or not written right are problems at their place, once', async () => {
    const files = { 'recipe.yaml': `${BASE.replace('frontend:', 'x-f:')}frontend:\n  port: \${PORT}\n  host: \${1}\n` };
    expect(await problemsOf({ files })).toEqual([
      'recipe.yaml:7:9: the environment variable PORT is not set; set it, or write ${PORT:-default}',
      'recipe.yaml:8:9: expected ${NAME} or ${NAME:-default}; write $${ for a literal ${',
    ]);
  });

  it('inside braces, where YAML cannot read them, get an explanation and nothing else', async () => {
    expect(await problemsOf(BASE.replace('8000', '${PORT}'))).toEqual([
      'recipe.yaml:3:20: a value with a variable cannot stand unquoted inside {…} or […]; write it on a line of its own',
    ]);
  });
});
