import type { WorkerRole } from '../base/role.ts';
import type { Engine } from '../engines/engine.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import type { WorkerSettings } from '../engines/worker.ts';
import type { Recipe, WorkerGroupRecipe } from '../recipe/recipe.ts';
import { formatPath } from '../yaml/problem.ts';
import { gpusPerWorker, settingsOf } from './check-engines.ts';
import type { WorkerWish } from './worker-wish.ts';

/** One worker before it has a place. */
export interface WorkerDraft {
  name: string;
  /** Which replica of its group, from 0. */
  replica: number;
  group: WorkerGroupRecipe;
  engine: Engine;
  settings: WorkerSettings;
  /** On each of its hosts. */
  gpuCount: number;
}

/** All workers of a recipe. Names count through each role: `prefill-0`, `prefill-1`, … over all models. */
export function draftWorkers(recipe: Recipe, models: KnownModels): WorkerDraft[] {
  const next: Record<WorkerRole, number> = { prefill: 0, decode: 0, aggregated: 0 };
  return recipe.models.flatMap((model) =>
    model.groups.flatMap((group) => {
      const engine = findEngine(group.engine);
      const settings = settingsOf(model, group, models);
      const gpuCount = gpusPerWorker(engine, settings) / group.nodes;
      return Array.from({ length: group.replicas }, (_, replica) => {
        const name = `${group.role}-${next[group.role]}`;
        next[group.role] += 1;
        return { name, replica, group, engine, settings, gpuCount };
      });
    }),
  );
}

export function wishOf({ name, group, engine, settings, gpuCount }: WorkerDraft): WorkerWish {
  return {
    worker: name,
    role: group.role,
    model: settings.servedModelName,
    group: formatPath(group.path),
    count: gpuCount,
    nodes: group.nodes,
    type: group.gpuType,
    placement: group.placement,
    sharing: group.workersPerGpu,
    external: engine.capabilities.external,
  };
}

/** Whether two workers exchange KV cache. */
export function isPeer(a: WorkerDraft, b: WorkerDraft): boolean {
  if (a.settings.servedModelName !== b.settings.servedModelName) return false;
  return a.group.role !== b.group.role && a.group.role !== 'aggregated' && b.group.role !== 'aggregated';
}
