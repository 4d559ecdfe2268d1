import { describe, expect, it } from 'vitest';
import { recipeHash } from '../../../src/plan/plan-hash.ts';
import { loadText } from '../../helpers/recipes.ts';

const plain = 'model: m\nengine: mocker\nworkers: { aggregated: {} }\n';
const load = async (hooks: string) => (await loadText(`${plain}hooks: ${hooks}\n`)).recipe.hooks;

describe('hooks of a recipe', () => {
  it('are a line for the shell, words, or a map', async () => {
    const hooks = await load(
      '{ onReady: "a | b", onFailure: [c, d], onStop: { command: e, timeout: 2s, env: { A: 1 } } }',
    );
    expect(hooks).toEqual({
      onReady: { command: ['/bin/sh', '-c', 'a | b'], timeout: 30_000, env: {} },
      onFailure: { command: ['c', 'd'], timeout: 30_000, env: {} },
      onStop: { command: ['/bin/sh', '-c', 'e'], timeout: 2_000, env: { A: '1' } },
    });
  });

  it("are words whose relative paths are those of the file, and a line that is the shell's", async () => {
    const { file, recipe } = await loadText(`${plain}hooks: { onReady: [./tell, up], onStop: ./tell down }\n`);
    expect(recipe.hooks?.onReady?.command).toEqual([file.replace(/[^/]*$/, 'tell'), 'up']);
    expect(recipe.hooks?.onStop?.command.at(-1)).toBe('./tell down');
  });

  it('count as part of the recipe only where there are some', async () => {
    const [without, empty, some] = await Promise.all(
      [plain, `${plain}hooks: {}\n`, `${plain}hooks: { onReady: a }\n`].map(loadText),
    );
    expect(recipeHash(empty!.recipe)).toBe(recipeHash(without!.recipe));
    expect(recipeHash(some!.recipe)).not.toBe(recipeHash(without!.recipe));
  });

  it.each([
    ['{ onRedy: a }', /onReady/],
    ['{ onReady: { timeout: 1s } }', /command/],
    ['{ onReady: [] }', /at least 1 item/],
  ])('%s is refused', async (hooks, message) => {
    await expect(load(hooks)).rejects.toMatchObject({ code: 'RECIPE_INVALID' });
    await expect(load(hooks).catch((error) => Promise.reject(new Error(JSON.stringify(error))))).rejects.toThrow(
      message,
    );
  });
});
