import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { loadRecipe } from '../../../src/recipe/load-recipe.ts';
import { loadText, problemsOf } from '../../helpers/recipes.ts';

const GOOD = `name: demo
model: mock-model
engine: mocker
workers:
  prefill: { replicas: 2 }
  decode:
    replicas: 3
    startTimeout: 5m
`;

const load = (name: string, cwd = '/') => loadRecipe(name, { set: [], env: {}, cwd });

describe('loadRecipe', () => {
  it('brings a recipe into one shape with defaults filled in', async () => {
    const { recipe, file, sources } = await loadText(GOOD);
    expect(recipe).toMatchObject({
      name: 'demo',
      startLease: 60_000,
      discovery: { backend: 'file', ttl: 10_000 },
      frontend: { replicas: 1, routerMode: 'kv', bodyLimit: 192 * 1024 ** 2 },
      models: [
        {
          model: 'mock-model',
          servedModelName: 'mock-model',
          kvTransfer: { connector: 'nixl', loadFailurePolicy: 'fail' },
          groups: [
            { role: 'prefill', engine: 'mocker', replicas: 2, path: ['workers', 'prefill'] },
            { role: 'decode', engine: 'mocker', replicas: 3, startTimeout: 300_000, restart: { policy: 'always' } },
          ],
        },
      ],
    });
    expect(sources).toEqual([file]);
  });

  it('takes several models, groups that differ, and engines by group', async () => {
    const { recipe } = await loadText(`
models:
  - model: a
    workers: { aggregated: [{ gpus: 1 }, { gpus: 2, args: { tensor-parallel-size: 2 }, restart: never }] }
  - model: b
    servedModelName: bee
    engine: mocker
    workers: { aggregated: {} }
`);
    expect(recipe.name).toBe('recipe');
    expect(recipe.models.map((model) => model.servedModelName)).toEqual(['a', 'bee']);
    expect(recipe.models.flatMap((model) => model.groups.map((group) => group.engine))).toEqual([
      'vllm',
      'vllm',
      'mocker',
    ]);
    expect(recipe.models[0]?.groups[1]).toMatchObject({
      path: ['models', 0, 'workers', 'aggregated', 1],
      restart: { policy: 'never', maxRestarts: 8 },
    });
    expect(recipe.models[0]?.kvTransfer.connector).toBe('none');
  });

  it('finds recipes that come with dynamo by name, and suggests one', async () => {
    expect((await load('quickstart')).recipe.name).toBe('quickstart');
    await expect(load('quikstart')).rejects.toMatchObject({
      code: 'RECIPE_NOT_FOUND',
      message: 'there is no recipe quikstart; did you mean `quickstart`?',
    });
  });

  it('refuses folders, binaries and endless files by name', async () => {
    const cwd = mkdtempSync(path.join(os.tmpdir(), 'dynamo-recipe-'));
    onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
    await expect(load(cwd)).rejects.toMatchObject({ code: 'RECIPE_NOT_FOUND' });
    writeFileSync(path.join(cwd, 'binary.yaml'), Buffer.from([0x6e, 0, 0xff, 0xfe]));
    await expect(load('binary.yaml', cwd)).rejects.toThrow(/is not a text file in UTF-8/);
    writeFileSync(path.join(cwd, 'huge.yaml'), '#'.repeat(2 * 1024 ** 2));
    await expect(load('huge.yaml', cwd)).rejects.toThrow(/at most \d+ are read/);
  });

  it('reads a file with a byte order mark and Windows line ends', async () => {
    const { recipe } = await loadText(`\ufeff${GOOD.replaceAll('\n', '\r\n')}`);
    expect(recipe.name).toBe('demo');
  });

  it('resolves relative paths against the file they stand in', async () => {
    const { recipe, file } = await loadText(
      'model: ./weights\nworkers: { aggregated: { env: { HF_TOKEN: { fromFile: token } }, command: ./bin/vllm } }\n',
    );
    const folder = path.dirname(file);
    expect(recipe.models[0]?.model).toBe(path.join(folder, 'weights'));
    expect(recipe.models[0]?.groups[0]).toMatchObject({
      command: [path.join(folder, 'bin/vllm')],
      env: { HF_TOKEN: { fromFile: path.join(folder, 'token') } },
    });
    expect(existsSync(file)).toBe(true);
  });
});

describe('problems', () => {
  it('come all at once, each with file, line, column, the line and a caret', async () => {
    const text = `name: demo
modle: x
engine: mocker
workers:
  prefill:
    replica: 2
    args: { block-siz: 64 }
  decode:
    replicas: two
    startTimeout: soon
frontend:
  port: 99999
`;
    const error = (await loadText(text).catch((thrown: unknown) => thrown)) as DynamoError;
    expect(error).toBeInstanceOf(DynamoError);
    expect(error.message).toBe('recipe.yaml has 6 problems');
    expect(error.exitStatus).toBe(3);
    expect(error.details).toEqual([
      'recipe.yaml:2:1: unknown key `modle` at the top; did you mean `model`?',
      '    2 | modle: x',
      '      | ^^^^^',
      'recipe.yaml:6:5: unknown key `replica` in `workers.prefill`; did you mean `replicas`?',
      '    6 |     replica: 2',
      '      |     ^^^^^^^',
      'recipe.yaml:7:13: the mocker has no flag `block-siz`; did you mean `block-size`?',
      '    7 |     args: { block-siz: 64 }',
      '      |             ^^^^^^^^^',
      'recipe.yaml:9:15: expected a number, found the text "two"',
      '    9 |     replicas: two',
      '      |               ^^^',
      'recipe.yaml:10:19: expected a duration such as 500ms, 30s, 5m or 1h',
      '   10 |     startTimeout: soon',
      '      |                   ^^^^',
      'recipe.yaml:12:9: expected at most 65535, found 99999',
      '   12 |   port: 99999',
      '      |         ^^^^^',
    ]);
  });

  it.each([
    ['an empty file', '', ['recipe.yaml:1:1: the recipe is empty']],
    ['a list', '- a\n', ['recipe.yaml:1:1: expected a map of keys and values']],
    [
      'a second document',
      `${GOOD}---\na: 1\n`,
      ['recipe.yaml:9:1: expected one YAML document; this starts a second one'],
    ],
    [
      'nothing but a name',
      'name: x\n',
      [
        'recipe.yaml:1:1: `model` is missing: a hub id or a path, or a list of `models`',
        'recipe.yaml:1:1: `workers` is missing: `aggregated`, or `prefill` and `decode`',
      ],
    ],
    [
      'an engine there is not',
      'model: m\nengine: moker\nworkers: { aggregated: {} }\n',
      [
        'recipe.yaml:2:9: expected one of mocker, vllm, sglang, trtllm, llamacpp, openai, found the text "moker"; did you mean `mocker`?',
      ],
    ],
    ['a key twice', `${GOOD}name: again\n`, ['recipe.yaml:9:1: this key occurs twice in the same map']],
    [
      'a key that belongs elsewhere',
      `${GOOD}routerMode: kv\n`,
      ['recipe.yaml:9:1: unknown key `routerMode` at the top; it belongs in `frontend`'],
    ],
    [
      'a misspelt key in a list of groups',
      'model: m\nengine: mocker\nworkers:\n  aggregated:\n    - replicas: 1\n    - gpu: 1\n',
      ['recipe.yaml:6:7: unknown key `gpu` in `workers.aggregated[1]`; did you mean `gpus`?'],
    ],
    [
      'neither group nor list',
      'model: m\nworkers: { aggregated: 3 }\n',
      ['recipe.yaml:2:24: expected a worker group (a map with replicas, gpus, args, …) or a list of them'],
    ],
    [
      'several hosts for one worker',
      'model: m\nengine: openai\nworkers: { aggregated: { url: "http://h:1", nodes: 2 } }\n',
      ['recipe.yaml:3:52: a worker of openai cannot span several hosts: somebody else runs it'],
    ],
    [
      'dashes before a flag',
      'model: m\nworkers: { aggregated: { args: { --dtype: x } } }\n',
      ['recipe.yaml:2:34: expected a long flag of the engine without its dashes, such as max-model-len'],
    ],
    [
      'a secret from nowhere',
      'model: m\nworkers: { aggregated: { env: { A: { fromVault: x } } } }\n',
      ['recipe.yaml:2:38: unknown key `fromVault` in `workers.aggregated.env.A`; known are fromEnv, fromFile'],
    ],
  ])('names %s', async (_, text, expected) => {
    const found = await problemsOf(text);
    expect(found).toEqual(expected);
  });

  it.each([
    [
      'prefill without decode',
      'model: m\nengine: mocker\nworkers: { prefill: {} }\n',
      'recipe.yaml:3:12: `prefill` workers need `decode` workers beside them',
    ],
    [
      'decode without prefill',
      'model: m\nengine: mocker\nworkers: { decode: {} }\n',
      'recipe.yaml:3:12: `decode` workers need `prefill` workers beside them; workers that do both are `aggregated`',
    ],
    [
      'both ways to serve',
      'model: m\nengine: mocker\nworkers: { prefill: {}, decode: {}, aggregated: {} }\n',
      'recipe.yaml:3:37: a model has either `aggregated` workers or `prefill` and `decode` workers, not both',
    ],
    [
      'no workers',
      'model: m\nworkers: {}\n',
      'recipe.yaml:2:1: no workers: expected `aggregated`, or `prefill` and `decode`',
    ],
    [
      'no way for the KV cache',
      `${GOOD}kvTransfer: { connector: none }\n`,
      'recipe.yaml:9:26: `none` leaves prefill and decode workers without a way to hand over the KV cache; use `nixl`',
    ],
    [
      'one name for two models',
      'engine: mocker\nmodels:\n  - { model: m, workers: { aggregated: {} } }\n  - { model: m, workers: { aggregated: {} } }\n',
      'recipe.yaml:4:14: `models[0]` is already served as "m"; give one of them another servedModelName',
    ],
    [
      'both forms of models',
      'model: m\nengine: mocker\nmodels: [{ model: n, workers: { aggregated: {} } }]\n',
      'recipe.yaml:1:1: `model` at the top and `models` exclude each other',
    ],
    [
      'ports that clash',
      `${GOOD}frontend: { port: 8100 }\n`.replace('replicas: 3', 'port: 8098\n    replicas: 3'),
      'recipe.yaml:7:11: port 8100 is already taken by `frontend`',
    ],
    [
      'engines that cannot hand over',
      'model: m\nworkers: { prefill: { engine: mocker, args: { block-size: 16 } }, decode: { engine: vllm } }\n',
      'recipe.yaml:2:85: decode workers run vllm but prefill workers run mocker; KV cache cannot move between them',
    ],
    [
      'block sizes that differ',
      'model: m\nengine: mocker\nworkers: { prefill: {}, decode: { args: { block-size: 32 } } }\n',
      'recipe.yaml:3:55: decode workers use KV blocks of 32 tokens but prefill workers of 64; set both the same',
    ],
    [
      'a flag the mocker does not have',
      'model: m\nengine: mocker\nworkers: { aggregated: { args: { max-num-seq: 1 } } }\n',
      'recipe.yaml:3:34: the mocker has no flag `max-num-seq`; did you mean `max-num-seqs`?',
    ],
    [
      'a flag the plan sets',
      'model: m\nworkers: { aggregated: { args: { port: 1 } } }\n',
      'recipe.yaml:2:34: `port` cannot be set here: the plan assigns it; use `port` of the worker group',
    ],
  ])('finds %s', async (_, text, expected) => {
    expect(await problemsOf(text)).toEqual([expected]);
  });

  it('shows a long line around the place only, and no control characters', async () => {
    const line = `{"model": "m", "engine": "mocker", "description": "${'x'.repeat(300)}\t", "workers": {"aggregated": {"replcas": 2}}}`;
    const error = (await loadText(line).catch((thrown: unknown) => thrown)) as DynamoError;
    const [, shown, caret] = error.details;
    expect(shown!.length).toBeLessThan(120);
    expect(shown!.slice(caret!.indexOf('^'), caret!.lastIndexOf('^') + 1)).toBe('"replcas"');
  });

  it('survives texts that are no recipe', async () => {
    for (const text of [
      '{',
      '[[[[',
      'a: &a [*a]',
      '? {a: b}\n: c',
      'a: !!binary xx',
      '%YAML 9\n---\n',
      ': :',
      '"',
      'x-a: &b\n<<: *b',
    ])
      expect((await problemsOf(text)).length, text).toBeGreaterThan(0);
  });

  it('is not led astray by aliases that multiply', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `x-${i}: &l${i} [${`*l${i - 1}, `.repeat(10)}1]`);
    levels[0] = 'x-0: &l0 [1]';
    expect(await problemsOf(`${levels.join('\n')}\n${GOOD}`)).toContainEqual(
      expect.stringMatching(/too many or too deeply nested values/),
    );
  });
});

describe('hosts of a recipe', () => {
  it('are a file beside it, or a list', async () => {
    const { recipe } = await loadText(`${GOOD}hosts: site/hosts.yaml\n`);
    expect(recipe.hosts).toMatch(/^\/.*\/site\/hosts\.yaml$/);
    const list = await loadText(`${GOOD}hosts: [gpu-a, { name: gpu-b, address: 10.0.0.2, identityFile: keys/b }]\n`);
    expect(list.recipe.hosts).toMatchObject([
      { name: 'gpu-a', address: 'gpu-a' },
      { name: 'gpu-b', address: '10.0.0.2', identityFile: expect.stringMatching(/^\/.*\/keys\/b$/) },
    ]);
    expect((await loadText(GOOD)).recipe.hosts).toBeNull();
  });

  it('have their mistakes shown like any other', async () => {
    expect(await problemsOf(`${GOOD}hosts:\n  - gpu-a\n  - { name: gpu-b, adress: 10.0.0.2 }\n`)).toEqual([
      expect.stringMatching(/:11:20: unknown key `adress` in `hosts\[1\]`; did you mean `address`\?$/),
    ]);
    expect(await problemsOf(`${GOOD}hosts: [gpu-a, gpu-a]\n`)).toEqual([
      expect.stringMatching(/: `gpu-a` is already the name of host 1 of the list$/),
    ]);
    expect(await problemsOf(`${GOOD}hosts: 5\n`)).toEqual([
      expect.stringMatching(/: expected the path of a hosts file, or a list of hosts$/),
    ]);
  });
});
