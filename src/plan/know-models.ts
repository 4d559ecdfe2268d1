import { findEngine } from '../engines/find-engine.ts';
import { type KnownModels, lookUpModel } from '../engines/model/look-up-model.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { formatPath } from '../yaml/problem.ts';
import { settingsOf } from './check-engines.ts';

/**
 * Reads the configuration of every model that can be found on this machine: folders, and copies in the hub's cache. The one part of
 * planning that reads files; what it returns is plain data. `mustBeHere`: workers run on this machine.
 */
export function knowModels(recipe: Recipe, options: { env: NodeJS.ProcessEnv; mustBeHere: boolean }): KnownModels {
  const entries = recipe.models.flatMap((model) =>
    model.groups.flatMap((group) => {
      const settings = settingsOf(model, group);
      const use = findEngine(group.engine).modelUse(settings);
      return use ? [[formatPath(group.path), lookUpModel(settings, use, options)] as const] : [];
    }),
  );
  return Object.fromEntries(entries);
}
