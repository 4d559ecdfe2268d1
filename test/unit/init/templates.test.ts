import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import { proposeGpus, proposeModel } from '../../../src/init/propose.ts';
import { renderTemplate, type TemplateValues } from '../../../src/init/render-template.ts';
import { findTemplate, readTemplate, TEMPLATES, type TemplateEngine } from '../../../src/init/templates.ts';
import { loadText, planText, recordedFacts } from '../../helpers/recipes.ts';

const VALUES: TemplateValues = {
  name: 'mine',
  file: 'mine.yaml',
  hostsFile: 'hosts.yaml',
  model: 'Qwen/Qwen3-8B',
  engine: 'vllm',
  gpus: 1,
  port: 8000,
};

const recipeOf = (name: string, values: Partial<TemplateValues>): string => {
  const file = readTemplate(name).find((each) => each.name === 'recipe.yaml')!;
  return renderTemplate(file.text, { ...VALUES, ...values });
};

/** Every template with every engine, on every recorded machine that it is for. */
const CASES = TEMPLATES.flatMap(({ name, engines }) => engines.map((engine) => [name, engine] as const));

/** Enough GPUs for two workers, with everything installed. */
const commands = {
  vllm: '/opt/vllm',
  sglang: '/opt/sglang',
  'trtllm-serve': '/opt/trtllm',
  'llama-server': '/opt/llama',
};
const machine = (name: string, change: Partial<HostFacts> = {}): HostFacts =>
  recordedFacts(name, { commands, ...change });

describe('templates', () => {
  it.each(CASES)('%s with %s loads and plans', async (name, engine) => {
    const template = findTemplate(name);
    const facts = machine(engine === 'mocker' ? 'no-gpu' : '2xa100');
    const hosts =
      name === 'two-hosts-pd'
        ? [
            { ...facts, name: 'gpu-a', address: '10.0.0.11', labels: { role: 'prefill' } },
            { ...facts, name: 'gpu-b', address: '10.0.0.12', labels: { role: 'decode' } },
          ]
        : [facts];
    const gpus = proposeGpus(template, engine, { gpus: facts.gpus, engines: [engine] });
    const text = recipeOf(name, { engine, gpus, model: engine === 'mocker' ? 'mock-model' : 'Qwen/Qwen3-8B' });
    const plan = await planText(text, hosts[0]!, { facts: hosts });
    const workers = plan.processes.filter((process) => !['frontend', 'router', 'store'].includes(process.role));
    expect(workers.length).toBeGreaterThan(0);
    expect(workers.every((worker) => worker.gpus.length === gpus)).toBe(true);
    expect(plan.pairs.length > 0).toBe(name !== 'one-gpu' && name !== 'many-models');
    if (name === 'two-hosts-pd')
      expect(new Set(workers.map((worker) => worker.host))).toEqual(new Set(['gpu-a', 'gpu-b']));
  });

  it.each([
    ['one-host-pd', 4],
    ['one-gpu', 8],
  ])('%s with %i GPUs a worker plans on eight H100', async (name, gpus) => {
    for (const engine of findTemplate(name).engines.filter((each) => each !== 'mocker')) {
      const plan = await planText(recipeOf(name, { engine, gpus }), machine('8xh100'));
      expect(plan.processes[0]?.gpus).toHaveLength(gpus);
    }
  });

  it('are folders of templates/, each with a recipe that says how to go on', () => {
    const folders = readdirSync(path.join(packageRoot, 'templates')).filter((name) =>
      existsSync(path.join(packageRoot, 'templates', name, 'recipe.yaml')),
    );
    expect(folders.sort()).toEqual(TEMPLATES.map(({ name }) => name).sort());
    for (const { name, engines } of TEMPLATES) {
      const text = recipeOf(name, { engine: engines[0]!, model: 'mock-model' });
      expect(text).toContain(`dynamo init ${name}`);
      expect(text).toContain('dynamo serve mine.yaml');
      expect(text).not.toContain('{{');
    }
  });

  it('names the nearest for one that does not exist', () => {
    expect(() => findTemplate('one-gpus')).toThrow(/did you mean `one-gpu`/);
  });
});

describe('renderTemplate', () => {
  it.each([
    'true',
    '8',
    'a: b',
    '#x',
    '',
    '- x',
    '"q"',
    'ü',
    '@at',
    '0x10',
    'null',
    'a #b',
    '*x',
    '&y',
    '!z',
    '{}',
    '~',
  ])('keeps the model %j as it is', async (model) => {
    const load = loadText(recipeOf('mock', { model }));
    if (model === '') await expect(load).rejects.toThrow();
    else expect((await load).recipe.models[0]?.model).toBe(model);
  });

  it('refuses a placeholder it does not know', () => {
    expect(() => renderTemplate('a: {{nosuch}}', VALUES)).toThrow('{{nosuch}}');
  });
});

describe('what is proposed', () => {
  const gpus = (count: number, gib: number) =>
    Array.from({ length: count }, (_, index) => ({
      index,
      uuid: '',
      name: 'H100',
      memoryBytes: gib * 1024 ** 3,
      memoryUsedBytes: 0,
    }));
  const proposed = (name: string, engine: TemplateEngine, count: number) =>
    proposeGpus(findTemplate(name), engine, { gpus: gpus(count, 80), engines: [] });

  it('shares the GPUs among the workers', () => {
    expect([1, 2, 3, 4, 6, 8, 32].map((count) => proposed('one-host-pd', 'vllm', count))).toEqual([
      1, 1, 1, 2, 2, 4, 8,
    ]);
    expect(proposed('one-gpu', 'vllm', 8)).toBe(1);
    expect(proposed('one-host-pd', 'mocker', 8)).toBe(0);
  });

  it('is a model that fits', () => {
    const model = (engine: TemplateEngine, count: number, gib: number) =>
      proposeModel(engine, { gpus: gpus(count, gib), engines: [] });
    expect(model('vllm', 1, 80)).toBe('Qwen/Qwen3-8B');
    expect(model('vllm', 1, 12)).toBe('Qwen/Qwen3-0.6B');
    expect(model('vllm', 0, 0)).toBe('Qwen/Qwen3-0.6B');
    expect(model('mocker', 1, 80)).toBe('mock-model');
  });
});
