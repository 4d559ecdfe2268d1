import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { planLaunch } from '../../../src/plan/plan-launch.ts';
import { loadText, recordedFacts } from '../../helpers/recipes.ts';

const RECIPE = {
  name: 'demo',
  model: 'm',
  engine: 'mocker',
  frontend: { port: 8000, replicas: 1, routerMode: 'kv', env: { A: 'b' }, liveness: { period: '5s' } },
  workers: {
    prefill: { replicas: 1, args: { seed: 1 } },
    decode: [{ replicas: 1, env: { A: 'b' }, restart: 'always' }],
  },
  kvTransfer: { connector: 'nixl', lease: '30s' },
  discovery: { backend: 'file', ttl: '10s' },
};

const PATHS = pathsOf(RECIPE);

/** Every path of the recipe, leaves and branches. */
function pathsOf(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...at, key], ...pathsOf(inner, [...at, key])]);
}

function change(value: unknown, [key = '', ...rest]: readonly string[], put: unknown): unknown {
  if (typeof value !== 'object' || value === null) return put;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...value };
  Reflect.set(copy, key, rest.length === 0 ? put : change(Reflect.get(copy, key), rest, put));
  return copy;
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    'nixl',
    'auto',
    '30s',
    'vllm',
    -1,
    0,
    1e9,
    2 ** 53,
    '',
    '__proto__',
    { fromEnv: 'X' },
    { __proto: 1 },
  ),
);
const mutation = fc.record({ path: fc.constantFrom(...PATHS), put: odd });

it('answers any recipe-shaped text with a plan or with problems, never with a crash', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      const mutated = mutations.reduce<unknown>((recipe, { path, put }) => change(recipe, path, put), RECIPE);
      try {
        const { recipe } = await loadText(JSON.stringify(mutated, null, 1));
        planLaunch({
          recipe,
          deployment: recipe.name,
          facts: [recordedFacts('8xh100')],
          selfCommand: ['dynamo'],
          discoveryRoot: '/state',
        });
      } catch (error) {
        if (!(error instanceof DynamoError)) throw error;
        expect(['RECIPE_INVALID', 'GPU_UNAVAILABLE', 'PORT_IN_USE']).toContain(error.code);
        if (error.code === 'RECIPE_INVALID') expect(error.details.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 100 },
  );
}, 120_000);
