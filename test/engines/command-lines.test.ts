import { readdirSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import type { LaunchPlan } from '../../src/plan/launch-plan.ts';
import { planLaunch } from '../../src/plan/plan-launch.ts';
import { loadRecipe } from '../../src/recipe/load-recipe.ts';
import { hostsOf, planText, recordedFacts } from '../helpers/recipes.ts';
import { engineFolder, START_DEADLINE_MS } from './support/environment.ts';

interface Reading {
  error: string | null;
  /** Class of each connector, the tiers behind it after it. */
  connectors: string[][];
  loader: string | null;
}

/** What the installed vLLM makes of the command lines of a plan, by process. */
async function readByVllm(plans: readonly LaunchPlan[]): Promise<Map<string, Reading>> {
  const specs = plans.flatMap(({ deployment, processes }) =>
    processes
      .filter(({ engine }) => engine === 'vllm')
      .map((spec) => ({ ...spec, name: `${deployment} ${spec.name}` })),
  );
  const words = specs.map(({ argv }) => JSON.stringify(argv.slice(argv.indexOf('serve') + 1)));
  const python = path.join(engineFolder!, 'venv', 'bin', 'python');
  const script = path.join(import.meta.dirname, 'support', 'parse_serve.py');
  const { stdout } = await execa(python, [script], {
    input: `${words.join('\n')}\n`,
    env: { VLLM_NO_USAGE_STATS: '1' },
  });
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('@'))
    .map((line) => JSON.parse(line.slice(1)) as Reading);
  expect(answers).toHaveLength(specs.length);
  return new Map(specs.map(({ name }, index) => [name, answers[index]!]));
}

async function planBuiltIn(name: string): Promise<LaunchPlan> {
  const { recipe } = await loadRecipe(name, { set: [], env: {}, cwd: packageRoot });
  const fixed = { deployment: name, selfCommand: ['dynamo'], discoveryRoot: '/state' };
  return planLaunch({ recipe, facts: hostsOf(name), ...fixed });
}

const worker = (name: string, role: string, settings: string, facts = [recordedFacts('8xh100')]) =>
  planText(`name: ${name}\nmodel: m\nengine: vllm\n${settings}\nworkers: ${role}\n`, facts);
const TWO_HOSTS = ['h100-1', 'h100-2'].map((name) => recordedFacts(name));
const ONE = '{ aggregated: { gpus: 1 } }';
const PAIR = '{ prefill: { gpus: 1 }, decode: { gpus: 1 } }';

/** No GPU is needed to read a command line: what is only planned otherwise is at least understood by the engine it is for. */
describe.skipIf(!engineFolder)('command lines, read by the installed vLLM', () => {
  let readings: Map<string, Reading>;

  it(
    'of every recipe and setting are taken',
    async () => {
      const builtIn = readdirSync(path.join(packageRoot, 'recipes')).map((file) => path.basename(file, '.yaml'));
      const plans = await Promise.all(builtIn.map(planBuiltIn));
      const more = await Promise.all([
        worker('cpu-tier', ONE, 'kvOffload: { cpu: 8GiB }'),
        worker('disk-tier', ONE, 'kvOffload: { disk: { path: /kv, size: 9GiB } }'),
        worker('both-tiers', ONE, 'kvOffload: { cpu: 8GiB, disk: { path: /kv } }'),
        worker('pair-with-tier', PAIR, 'kvOffload: { cpu: 8GiB }\nkvEvents: true'),
        worker(
          'two-hosts',
          '{ aggregated: { gpus: 16, nodes: 2, args: { tensor-parallel-size: 8, pipeline-parallel-size: 2 } } }',
          'discovery: { backend: etcd, endpoints: http://10.0.0.1:2379 }',
          TWO_HOSTS,
        ),
        worker('ranks', '{ aggregated: { gpus: 4, args: { data-parallel-size: 4 } } }', 'kvEvents: true'),
        ...['runai_streamer', 'fastsafetensors', 'sharded_state', 'modelexpress'].map((loader) =>
          worker(loader, ONE, `load: { loader: ${loader}, settings: { concurrency: 4 } }`),
        ),
      ]);
      readings = await readByVllm([...plans, ...more]);
      expect(readings.size).toBeGreaterThan(30);
      expect([...readings].filter(([, { error }]) => error !== null)).toEqual([]);
    },
    START_DEADLINE_MS,
  );

  it('lead to the connectors and tiers that are meant', () => {
    const of = (name: string) => readings.get(name)?.connectors;
    expect(of('gpt-oss-120b-1p1d prefill-0')).toEqual([[expect.stringMatching(/^Nixl/)]]);
    expect(of('cpu-tier aggregated-0')).toEqual([['OffloadingConnector']]);
    expect(of('disk-tier aggregated-0')).toEqual([['SimpleCPUOffloadConnector']]);
    expect(of('both-tiers aggregated-0')).toEqual([
      ['OffloadingConnector', expect.stringMatching(/^FileSystem|^FS|^Fs/)],
    ]);
    expect(of('pair-with-tier decode-0')).toEqual([
      ['MultiConnector'],
      [expect.stringMatching(/^Nixl/)],
      ['OffloadingConnector'],
    ]);
  });

  it('lead to the loaders that are meant', () => {
    const of = (name: string) => readings.get(`${name} aggregated-0`)?.loader;
    expect([of('runai_streamer'), of('fastsafetensors'), of('sharded_state'), of('modelexpress')]).toEqual([
      'RunaiModelStreamerLoader',
      'DefaultModelLoader',
      'ShardedStateLoader',
      'ModelExpressModelLoader',
    ]);
  });
});
