import { realpathSync } from 'node:fs';
import path from 'node:path';
import { DynamoError, messageOf } from '../base/errors.ts';
import { isLocalPath } from '../hosts/hosts-file.ts';
import { addIssues, checkTree, dataOf } from '../yaml/check-tree.ts';
import type { Problem } from '../yaml/problem.ts';
import { showPath } from '../yaml/read-text.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { substituteEnvironment } from '../yaml/substitute.ts';
import { mapOver, mergeTrees, removeAt, type Tree } from '../yaml/tree.ts';
import { crossCheck } from './cross-checks.ts';
import { findRecipe, readRecipeText } from './find-recipe.ts';
import { normaliseRecipe } from './normalise.ts';
import { applyOverride } from './overrides.ts';
import { type RecipeIssue, recipeError } from './problem.ts';
import type { Recipe } from './recipe.ts';
import { recipeSchema } from './schema.ts';

export interface LoadedRecipe {
  recipe: Recipe;
  /** Absolute path of the recipe. */
  file: string;
  /** Every file it was made from, the recipe first, then its base and so on. */
  sources: string[];
  /** The recipe as written, with bases, overrides and variables applied: a recipe again. */
  resolved: unknown;
}

export interface LoadOptions {
  /** `path=value`, applied in order. */
  set: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Further rules, for what only other layers know (engine flags). Their issues are shown with all others. */
  check?: (recipe: Recipe) => RecipeIssue[];
}

/**
 * Reads a recipe by path or by the name of one that comes with dynamo: files and their bases, then `--set`, then `${ENV}`,
 * then the schema, then the rules between keys. Throws `RECIPE_NOT_FOUND`, or one `RECIPE_INVALID` with every problem:
 * file, line, column, the line itself and the nearest valid key.
 */
export async function loadRecipe(pathOrName: string, options: LoadOptions): Promise<LoadedRecipe> {
  const file = findRecipe(pathOrName, options.cwd);
  const problems: Problem[] = [];
  const sources: string[] = [];
  let tree = readWithBase(file, { cwd: options.cwd, problems, sources, chain: [] });
  options.set.forEach((text, index) => {
    tree = applyOverride(tree, text, index + 1, problems);
  });
  tree = resolvePaths(substituteEnvironment(tree, options.env, problems), options.cwd);
  const shown = showPath(file, options.cwd);
  if (problems.some((problem) => problem.unreadable)) throw recipeError(shown, problems);
  const checked = checkRecipe(tree, fallbackName(file), options.check);
  addIssues(checked.issues, tree, problems);
  if (problems.length > 0 || !checked.result) throw recipeError(shown, problems);
  return { recipe: checked.result, file, sources, resolved: dataOf(tree) };
}

interface ReadContext {
  cwd: string;
  problems: Problem[];
  sources: string[];
  /** Files being read, outermost first: a file in it again is a circle. */
  chain: readonly string[];
}

function readWithBase(file: string, context: ReadContext): Tree {
  context.sources.push(file);
  const tree = readYaml({ name: showPath(file, context.cwd), text: readRecipeText(file) }, context.problems);
  if (tree.kind !== 'map') {
    const empty = tree.kind === 'scalar' && tree.value === null;
    context.problems.push({
      place: { ...tree.place, end: tree.place.start + 1 },
      message: empty ? 'the recipe is empty' : 'expected a map of keys and values',
    });
    return { kind: 'map', entries: new Map(), place: tree.place };
  }
  const base = tree.entries.get('base')?.node;
  if (base?.kind !== 'scalar' || typeof base.value !== 'string') return tree;
  const own = removeAt(tree, ['base']);
  const target = path.resolve(path.dirname(file), base.value);
  const chain = [...context.chain, realPath(file)];
  if (chain.includes(realPath(target))) {
    const circle = [...chain, realPath(target)].map((step) => path.basename(step)).join(' → ');
    context.problems.push({ place: base.place, message: `\`base\` goes in a circle: ${circle}` });
    return own;
  }
  try {
    return mergeTrees(readWithBase(target, { ...context, chain }), own);
  } catch (error) {
    if (!(error instanceof DynamoError)) throw error;
    context.problems.push({ place: base.place, message: messageOf(error) });
    return own;
  }
}

/** Schema, then the rules between keys, then those of other layers. */
function checkRecipe(tree: Tree, name: string, check: LoadOptions['check']) {
  return checkTree(tree, recipeSchema, (file) => {
    const recipe = normaliseRecipe(file, name);
    const issues = [...crossCheck(file), ...(check?.(recipe) ?? [])];
    return { result: issues.length === 0 ? recipe : undefined, issues };
  });
}

/** A relative path is relative to the file it stands in, whichever base that is; in `--set` to the working folder. */
function resolvePaths(tree: Tree, cwd: string): Tree {
  return mapOver(tree, (scalar, at) => {
    if (typeof scalar.value !== 'string' || !isRelativePath(at, scalar.value)) return scalar;
    const { name } = scalar.place.source;
    const folder = name.startsWith('--set ') ? cwd : path.dirname(path.resolve(cwd, name));
    return { ...scalar, value: path.resolve(folder, scalar.value) };
  });
}

function isRelativePath(at: readonly (string | number)[], value: string): boolean {
  if (at[0] === 'hosts') return at.length === 1 ? !/^~?\//.test(value) : isLocalPath(at, value);
  if (!isPathKey(at)) return false;
  return /^\.\.?\//.test(value) || (at.at(-1) === 'fromFile' && !path.isAbsolute(value));
}

const DISCOVERY_PATHS: readonly string[] = ['root', 'caFile', 'certFile', 'keyFile', 'command'];

function isPathKey(at: readonly (string | number)[]): boolean {
  const last = at.at(-1);
  const isModel = last === 'model' && (at.length === 1 || (at.length === 3 && at[0] === 'models'));
  const isStore = at[0] === 'discovery' && typeof last === 'string' && DISCOVERY_PATHS.includes(last);
  const isFolder = last === 'compileCache' || (last === 'path' && at.at(-2) === 'disk');
  return (
    isModel ||
    isFolder ||
    isStore ||
    last === 'fromFile' ||
    (last === 'command' && at.includes('workers')) ||
    at.at(-2) === 'command' ||
    // Words of a hook; a line for the shell is the shell's.
    (at[0] === 'hooks' && at.length === 3 && typeof last === 'number')
  );
}

function fallbackName(file: string): string {
  const plain = path
    .basename(file)
    .replace(/\.[^.]*$/, '')
    .replace(/[^a-zA-Z0-9._-]/g, '-');
  return plain.replace(/^[^a-zA-Z0-9]+/, '').slice(0, 63) || 'recipe';
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
