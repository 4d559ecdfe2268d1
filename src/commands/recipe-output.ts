import { fillDefaults } from '../recipe/fill-defaults.ts';
import { listBuiltInRecipes } from '../recipe/find-recipe.ts';
import { formatRecipe, hideSecrets } from '../recipe/format-recipe.ts';
import { recipeJsonSchema } from '../recipe/json-schema.ts';
import { loadCheckedRecipe } from './plan-recipe.ts';

interface Flags {
  set?: readonly string[];
  json?: boolean;
}

/** `dynamo recipe list`. */
export function listRecipes(json: boolean): string {
  const recipes = listBuiltInRecipes();
  if (json) return print({ schemaVersion: 1, recipes });
  const width = Math.max(0, ...recipes.map(({ name }) => name.length));
  return recipes.map(({ name, description }) => `${name.padEnd(width)}  ${description}\n`).join('');
}

/** `dynamo recipe show`: a recipe again, with everything filled in and literal secrets hidden. */
export async function showRecipe(recipe: string, { set, json }: Flags): Promise<string> {
  const { loaded } = await loadCheckedRecipe(recipe, { set, env: process.env, cwd: process.cwd() });
  const filled = fillDefaults(loaded.resolved, recipeJsonSchema());
  return json ? print(hideSecrets(filled)) : formatRecipe(filled);
}

/** `dynamo recipe validate`; an invalid one throws `RECIPE_INVALID`. */
export async function validateRecipe(recipe: string, { set, json }: Flags): Promise<string> {
  const { loaded } = await loadCheckedRecipe(recipe, { set, env: process.env, cwd: process.cwd() });
  const { file, sources, recipe: normal } = loaded;
  if (json) return print({ schemaVersion: 1, valid: true, recipe: file, sources });
  const workers = normal.models.flatMap(({ groups }) => groups).reduce((sum, group) => sum + group.replicas, 0);
  const models = normal.models.map((model) => model.servedModelName).join(', ');
  return `${file} is valid: ${models} on ${workers} worker${workers === 1 ? '' : 's'}\n`;
}

/** `dynamo recipe schema`. */
export function printSchema(): string {
  return print(recipeJsonSchema());
}

const print = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
