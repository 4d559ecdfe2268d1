import type { Engine, WorkerSettings } from '../engines/engine.ts';
import { argNumber } from '../engines/engine-args.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { ModelRecipe, Recipe, WorkerGroupRecipe } from '../recipe/recipe.ts';

export interface EngineCheck {
  problems: RecipeIssue[];
  warnings: string[];
}

/** What the engines say about a recipe: flags they refuse or do not know, workers that cannot hand over to each other. */
export function checkEngines(recipe: Recipe): EngineCheck {
  const found = recipe.models.flatMap((model) => [
    ...model.groups.map((group) => checkGroup(model, group)),
    ...(model.kvTransfer.connector === 'none' ? [] : [checkHandOver(model)]),
  ]);
  return {
    problems: found.flatMap(({ problems }) => problems),
    warnings: [...new Set(found.flatMap(({ warnings }) => warnings))],
  };
}

/** A group as its engine sees it. */
export function settingsOf(model: ModelRecipe, group: WorkerGroupRecipe): WorkerSettings {
  const { path, role, args, env, command, gpus } = group;
  const { servedModelName, kvTransfer } = model;
  return { path, role, model: model.model, servedModelName, args, env, command, kvTransfer, gpus };
}

/** GPUs of each worker of a group. */
export function gpusPerWorker(engine: Engine, settings: WorkerSettings): number {
  return engine.capabilities.gpus ? (settings.gpus ?? engine.defaultGpus(settings)) : 0;
}

function checkGroup(model: ModelRecipe, group: WorkerGroupRecipe): EngineCheck {
  const engine = findEngine(group.engine);
  const settings = settingsOf(model, group);
  const { problems, warnings } = engine.check(settings);
  const extra: string[] = [];
  if (!engine.capabilities.gpus && (group.gpus ?? 0) > 0)
    extra.push(`${group.role} workers run the ${engine.name}, which uses no GPU: \`gpus: ${group.gpus}\` is ignored`);
  if (group.role !== 'aggregated' && !engine.capabilities.disaggregation)
    problems.push({
      path: group.path,
      message: `${engine.name} cannot separate prefill from decode; use \`aggregated\``,
      atKey: true,
    });
  return { problems, warnings: [...warnings, ...extra] };
}

/** Prefill and decode workers of a model must speak the same dialect and cut the KV cache the same way. */
function checkHandOver(model: ModelRecipe): EngineCheck {
  const problems: RecipeIssue[] = [];
  const warnings: string[] = [];
  const prefill = model.groups.filter((group) => group.role === 'prefill');
  const decode = model.groups.filter((group) => group.role === 'decode');
  for (const d of decode) {
    for (const p of prefill) {
      if (p.engine !== d.engine) {
        problems.push({
          path: [...d.path, 'engine'],
          message: `decode workers run ${d.engine} but prefill workers run ${p.engine}; KV cache cannot move between them`,
        });
        continue;
      }
      const sizes = [p, d].map((group) => findEngine(group.engine).kvBlockSize(settingsOf(model, group)));
      if (sizes[0] !== sizes[1])
        problems.push({
          path: [...d.path, 'args', 'block-size'],
          message: `decode workers use KV blocks of ${sizes[1]} tokens but prefill workers of ${sizes[0]}; set both the same`,
        });
      const ranks = [p, d].map((group) => argNumber(group.args, 'tensor-parallel-size', 1));
      if (ranks[0]! > ranks[1]!)
        warnings.push(
          `prefill workers of ${model.servedModelName} have tensor-parallel-size ${ranks[0]}, decode workers ${ranks[1]}: vLLM fails on that for some models; keep decode at least as large`,
        );
    }
  }
  return { problems, warnings };
}
