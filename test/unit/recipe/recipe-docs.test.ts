import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fillDefaults } from '../../../src/recipe/fill-defaults.ts';
import { formatRecipe } from '../../../src/recipe/format-recipe.ts';
import { recipeJsonSchema } from '../../../src/recipe/json-schema.ts';
import { recipeDocs } from '../../../src/recipe/recipe-docs.ts';
import type { JsonSchema } from '../../../src/yaml/json-schema.ts';
import { loadText } from '../../helpers/recipes.ts';

const root = path.resolve(import.meta.dirname, '../../..');

describe('docs/recipe.md', () => {
  it('is what `npm run docs` writes', () => {
    expect(readFileSync(path.join(root, 'docs/recipe.md'), 'utf8')).toBe(recipeDocs());
  });

  it('says what every key means', () => {
    expect(recipeDocs().match(/^\| `\w+` \|.*\| {2}\|$/gm)).toBeNull();
  });
});

describe('the JSON schema', () => {
  const schema = recipeJsonSchema();
  const maps = Object.values(schema.$defs ?? {}).flatMap((def): JsonSchema[] => [def, ...(def.anyOf ?? [])]);

  it('refuses unknown keys everywhere, but lets x- keys stand at the top', () => {
    for (const map of [schema, ...maps].filter((def) => def.properties)) expect(map.additionalProperties).toBe(false);
    expect(schema.patternProperties).toEqual({ '^x-': true });
  });
});

describe('a shown recipe', () => {
  it('has every default, hides literal secrets, and is the same recipe when loaded again', async () => {
    const text =
      'model: m\nengine: mocker\nworkers: { aggregated: { env: { API_KEY: abc, A: b, T: { fromEnv: T } } } }\n';
    const first = await loadText(text);
    const shown = formatRecipe(fillDefaults(first.resolved, recipeJsonSchema()));
    expect(shown).toContain('routerMode: kv');
    expect(shown).toContain('replicas: 1');
    expect(shown).toContain('API_KEY: <hidden>');
    expect(shown).not.toContain('abc');
    const second = await loadText(shown.replace('<hidden>', 'abc'));
    expect(second.recipe).toEqual(first.recipe);
  });
});
