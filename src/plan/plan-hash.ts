import { createHash } from 'node:crypto';
import type { Recipe } from '../recipe/recipe.ts';
import type { LaunchPlan } from './launch-plan.ts';

/**
 * sha256 of one plan, hex. Names exactly what was started: the commit record carries it. Two plans of the same recipe may
 * differ in it, because free ports and GPUs are chosen anew each time.
 */
export function planHash(plan: LaunchPlan): string {
  return sha256(canonicalJson(plan));
}

/**
 * sha256 of what the recipe says, hex. Equal for two loads of an unchanged recipe, whatever is free at the time:
 * compare this to know whether a recipe changed under a running deployment, then `planDifference` to say how.
 */
export function recipeHash(recipe: Recipe): string {
  // Where a value stands does not matter: one group or a list of one is the same recipe. Nor does what only people read.
  const { description: _, models, ...rest } = recipe;
  const meaning = models.map(({ path: _path, groups, ...model }) => ({
    ...model,
    groups: groups.map(({ path: _groupPath, ...group }) => group),
  }));
  return sha256(canonicalJson({ ...rest, models: meaning }));
}

/** JSON with sorted keys and without `undefined`. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
