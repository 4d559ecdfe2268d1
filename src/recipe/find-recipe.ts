import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { DynamoError } from '../base/errors.ts';
import { packageRoot } from '../base/package-root.ts';
import { didYouMean } from '../yaml/nearest.ts';
import { readText } from '../yaml/read-text.ts';

const recipesDir = (): string => path.join(packageRoot, 'recipes');

/** A recipe that comes with dynamo. */
export interface BuiltInRecipe {
  /** What `dynamo serve NAME` takes. */
  name: string;
  description: string;
  file: string;
}

/** The recipes that come with dynamo, by name. */
export function listBuiltInRecipes(): BuiltInRecipe[] {
  return recipeNames().map((name) => {
    const file = path.join(recipesDir(), `${name}.yaml`);
    const content: unknown = parse(readFileSync(file, 'utf8'), { logLevel: 'silent', merge: true });
    const found = typeof content === 'object' && content !== null && 'description' in content && content.description;
    return { name, description: typeof found === 'string' ? found : '', file };
  });
}

function recipeNames(): string[] {
  try {
    const files = readdirSync(recipesDir()).filter((file) => file.endsWith('.yaml'));
    return files.map((file) => path.basename(file, '.yaml')).sort();
  } catch {
    return [];
  }
}

/** Finds a recipe by path, or by the name of one that comes with dynamo. Throws `RECIPE_NOT_FOUND`. */
export function findRecipe(pathOrName: string, cwd: string): string {
  const file = path.resolve(cwd, pathOrName);
  if (isFile(file)) return file;
  const names = recipeNames();
  if (names.includes(pathOrName)) return path.join(recipesDir(), `${pathOrName}.yaml`);
  const bare = path.basename(pathOrName).replace(/\.ya?ml$/, '');
  throw new DynamoError('RECIPE_NOT_FOUND', `there is no recipe ${pathOrName}${didYouMean(bare, names)}`);
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** Text of a recipe file. Throws `RECIPE_NOT_FOUND` when it cannot be read, `RECIPE_INVALID` when it is no text. */
export function readRecipeText(file: string): string {
  return readText(file, (reason, message, cause) =>
    reason === 'unreadable'
      ? new DynamoError('RECIPE_NOT_FOUND', message, { cause, hint: 'Check the path and its permissions.' })
      : new DynamoError('RECIPE_INVALID', message),
  );
}
