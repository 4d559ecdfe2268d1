import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { loadCheckedRecipe, prepareLaunch } from '../../../src/commands/plan-recipe.ts';

const CONFIG = {
  ...{ architectures: ['Qwen3ForCausalLM'], num_hidden_layers: 2, num_attention_heads: 12, num_key_value_heads: 4 },
  ...{ max_position_embeddings: 4_096, dtype: 'bfloat16' },
};
const COMPLETE = { 'config.json': JSON.stringify(CONFIG), 'tokenizer.json': '{}', 'model.safetensors': '' };

function tmpDir(): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'dynamo-models-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function write(dir: string, files: Record<string, string>): string {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(dir, name), text);
  return dir;
}

/** Problems of a recipe beside a folder `model`, without excerpts; `DIR` stands for the place of both. */
async function problems(
  files: Record<string, string> | null,
  recipe: string,
  env: NodeJS.ProcessEnv = {},
): Promise<string[]> {
  const cwd = tmpDir();
  if (files) write(path.join(cwd, 'model'), files);
  writeFileSync(path.join(cwd, 'recipe.yaml'), recipe);
  try {
    await loadCheckedRecipe('recipe.yaml', { env: { HOME: cwd, ...env }, cwd, mustBeHere: true });
    return [];
  } catch (error) {
    if (!(error instanceof DynamoError) || error.code !== 'RECIPE_INVALID') throw error;
    return error.details.filter((line) => !/^ *\d* \| /.test(line)).map((line) => line.replaceAll(cwd, 'DIR'));
  }
}

const aggregated = (args = '{}', more = ''): string =>
  `model: ./model\nworkers:\n  aggregated: { args: ${args}${more} }\n`;

describe('a model folder', () => {
  it.each([
    ['nowhere', null, 'there is no file or folder DIR/model; a hub id does not begin with a slash'],
    ['without config.json', { 'tokenizer.json': '{}' }, 'DIR/model has no config.json'],
    [
      'with half a config.json',
      { ...COMPLETE, 'config.json': '{' },
      expect.stringMatching(/config\.json is not JSON: /),
    ],
    [
      'with another config.json',
      { ...COMPLETE, 'config.json': '[]' },
      'DIR/model/config.json does not describe a model',
    ],
    [
      'without a tokenizer',
      { 'config.json': COMPLETE['config.json'], 'a.safetensors': '' },
      'DIR/model has no tokenizer (tokenizer.json, tokenizer.model or the like)',
    ],
    [
      'without weights',
      { 'config.json': COMPLETE['config.json'], 'tokenizer.json': '{}' },
      'DIR/model has no weights (*.safetensors or the like)',
    ],
  ])('%s is refused where the recipe names it', async (_, files, message) => {
    const [found, ...more] = await problems(files, aggregated());
    expect(more).toEqual([]);
    expect(found?.replace(/^recipe\.yaml:1:8: /, '')).toEqual(message);
    expect(found).toMatch(/^recipe\.yaml:1:8: /);
  });

  it('that is complete, or lacks what is not read, is fine', async () => {
    expect(await problems(COMPLETE, aggregated('{ tensor-parallel-size: 4 }'))).toEqual([]);
    const bare = { 'config.json': COMPLETE['config.json'] };
    expect(await problems(bare, aggregated('{ load-format: dummy, tokenizer: other/one }'))).toEqual([]);
  });

  it('that cannot be read says why', async () => {
    const link = path.join(tmpDir(), 'circle');
    symlinkSync(link, link);
    expect(await problems(null, aggregated().replace('./model', link))).toEqual([
      `recipe.yaml:1:8: ${link} cannot be read: ELOOP`,
    ]);
  });

  it('may lie on another host', async () => {
    const cwd = tmpDir();
    writeFileSync(path.join(cwd, 'recipe.yaml'), aggregated());
    const facts = [path.resolve(import.meta.dirname, '../../fixtures/facts/8xh100.json')];
    const { plan } = await prepareLaunch({ recipe: 'recipe.yaml', facts, env: { HOME: cwd, DYNAMO_HOME: cwd }, cwd });
    expect(plan.processes[0]?.argv).toContain(path.join(cwd, 'model'));
    await expect(
      prepareLaunch({ recipe: 'recipe.yaml', env: { HOME: cwd, DYNAMO_HOME: cwd }, cwd }),
    ).rejects.toMatchObject({
      code: 'RECIPE_INVALID',
    });
  });
});

describe('settings against the model', () => {
  it.each([
    [
      'heads that cannot be divided',
      aggregated('{ tensor-parallel-size: 8 }'),
      "recipe.yaml:3:47: 8 does not divide the model's 12 attention heads; sizes that do: 2, 4, 12",
    ],
    [
      'KV heads that cannot be divided',
      aggregated('{ tensor-parallel-size: 3 }'),
      "recipe.yaml:3:47: 3 neither divides the model's 4 KV heads nor is a multiple of them; sizes that do: 1, 2, 4",
    ],
    [
      'more stages than layers',
      aggregated('{ pipeline-parallel-size: 3 }'),
      'recipe.yaml:3:49: the model has 2 layers, which is too few for 3 pipeline stages',
    ],
    [
      'texts longer than the model takes',
      aggregated('{ max_model_len: 5k }'),
      'recipe.yaml:3:40: the model takes 4096 tokens at most, prompt and answer together',
    ],
    [
      'the same with SGLang, ranks of DP attention counted as they are used',
      `engine: sglang\n${aggregated('{ tp: 16, dp-size: 2, enable-dp-attention: true, context-length: 8192 }')}`,
      "recipe.yaml:4:29: 8 does not divide the model's 12 attention heads; sizes that do: 2, 4, 12",
    ],
  ])('%s', async (_, recipe, expected) => {
    expect((await problems(COMPLETE, recipe))[0]).toBe(expected);
  });

  it('lets be what the recipe knowingly wants', async () => {
    const longer = aggregated('{ max-model-len: 8192 }', ", env: { VLLM_ALLOW_LONG_MAX_MODEL_LEN: '1' }");
    expect(await problems(COMPLETE, longer)).toEqual([]);
    const stretched = aggregated('{ max-model-len: 16384, hf-overrides: { max_position_embeddings: 16384 } }');
    expect(await problems(COMPLETE, stretched)).toEqual([]);
    expect(await problems(COMPLETE, aggregated('{ max-model-len: auto }'))).toEqual([]);
  });

  it('needs the same type on both sides of a hand-over; the model’s own is what `auto` means', async () => {
    const pair = (dtype: string) => `model: ./model\nworkers: { prefill: {}, decode: { args: { dtype: ${dtype} } } }\n`;
    expect(await problems(COMPLETE, pair('bfloat16'))).toEqual([]);
    expect(await problems(COMPLETE, pair('auto'))).toEqual([]);
    expect(await problems(COMPLETE, pair('float16'))).toEqual([
      'recipe.yaml:2:50: `dtype` is float16 for decode but not set for prefill workers; NIXL needs them equal',
    ]);
  });

  it('warns of prompts that only prefill workers take', async () => {
    const cwd = write(tmpDir(), {
      'recipe.yaml': 'model: m\nworkers: { prefill: {}, decode: { args: { max-model-len: 4096 } } }\n',
    });
    const facts = [path.resolve(import.meta.dirname, '../../fixtures/facts/8xh100.json')];
    const { plan } = await prepareLaunch({ recipe: 'recipe.yaml', facts, env: { HOME: cwd, DYNAMO_HOME: cwd }, cwd });
    expect(plan.warnings).toEqual([
      'decode workers take 4096 tokens but prefill workers as many as the model does: a prompt in between is refused only after it was read; give both the same length',
    ]);
  });

  it('is not concerned with models that nobody loads', async () => {
    expect(await problems(null, `engine: mocker\n${aggregated()}`)).toEqual([]);
  });
});

describe('a model of the hub', () => {
  const recipe = 'model: org/name\nworkers: { aggregated: { args: { tensor-parallel-size: 8 } } }\n';

  it('is looked up in the cache that the worker will use, wherever that is', async () => {
    const cache = (hub: string): string => {
      const repository = path.join(hub, 'models--org--name');
      write(path.join(repository, 'refs'), { main: 'abc123\n' });
      write(path.join(repository, 'snapshots', 'abc123'), { 'config.json': JSON.stringify(CONFIG) });
      return hub;
    };
    const refused = [expect.stringMatching(/8 does not divide/)];
    expect(await problems(null, recipe)).toEqual([]);
    const home = tmpDir();
    cache(path.join(home, '.cache', 'huggingface', 'hub'));
    expect(await problems(null, recipe, { HOME: home })).toEqual(refused);
    const hf = tmpDir();
    cache(path.join(hf, 'hub'));
    expect(await problems(null, recipe, { HF_HOME: hf })).toEqual(refused);
    expect(await problems(null, recipe, { HF_HUB_CACHE: cache(tmpDir()) })).toEqual(refused);
    const own = recipe.replace('aggregated: {', `aggregated: { env: { HF_HOME: ${hf} },`);
    expect(await problems(null, own)).toEqual(refused);
  });

  it('is unknown when the cache holds half of it, or has another name', async () => {
    const hub = tmpDir();
    mkdirSync(path.join(hub, 'models--org--name', 'snapshots', 'main'), { recursive: true });
    expect(await problems(null, recipe, { HF_HUB_CACHE: hub })).toEqual([]);
    expect(await problems(null, recipe.replace('org/name', 'a/../../b'), { HF_HUB_CACHE: hub })).toEqual([]);
  });
});

describe('llama.cpp', () => {
  it('wants one file', async () => {
    const recipe = `engine: llamacpp\n${aggregated()}`;
    expect(await problems(COMPLETE, recipe)).toEqual([expect.stringMatching(/is a folder; expected one file/)]);
    expect(await problems(null, recipe)).toEqual([expect.stringMatching(/there is no file DIR\/model/)]);
  });
});

describe('hybrid KV caches', () => {
  it('are recognised by the configuration, whatever the model is called', async () => {
    const cwd = tmpDir();
    const hybrid = { ...CONFIG, layer_types: ['sliding_attention', 'full_attention'] };
    write(path.join(cwd, 'model'), { ...COMPLETE, 'config.json': JSON.stringify(hybrid) });
    writeFileSync(path.join(cwd, 'recipe.yaml'), 'model: ./model\nworkers: { prefill: {}, decode: {} }\n');
    const facts = [path.resolve(import.meta.dirname, '../../fixtures/facts/8xh100.json')];
    const { plan } = await prepareLaunch({ recipe: 'recipe.yaml', facts, env: { HOME: cwd, DYNAMO_HOME: cwd }, cwd });
    expect(plan.processes.map((spec) => spec.hybridKv)).toEqual([true, true, undefined]);
    expect(plan.warnings).toContainEqual(expect.stringMatching(/hybrid-kv-transfer/));
  });
});
