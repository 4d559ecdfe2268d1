import type { WorkerRole } from '../base/role.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { formatPath } from '../yaml/problem.ts';
import type { LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { isFollower, membersOf } from './worker-group.ts';
import type { Resident } from './worker-wish.ts';

/** One group of a recipe, and the workers of a running plan that it became. */
export interface WorkerGroup {
  model: string;
  role: WorkerRole;
  /** Where it stands in the recipe. */
  modelIndex: number;
  groupIndex: number;
  /** Which of the groups of its model and role, from 0. */
  ordinal: number;
  /** Each with its processes, the leader first. */
  workers: ProcessSpec[][];
}

/**
 * Which process belongs to which group. A plan keeps the order of the recipe's groups, and the recipe says how many workers
 * each has.
 */
export function groupWorkers(recipe: Recipe, plan: LaunchPlan): WorkerGroup[] {
  const leaders = plan.processes.filter((spec) => !isFollower(spec));
  return recipe.models.flatMap(({ servedModelName: model, groups }, modelIndex) => {
    const seen = new Map<WorkerRole, { workers: number; groups: number }>();
    return groups.map(({ role, replicas }, groupIndex) => {
      const before = seen.get(role) ?? { workers: 0, groups: 0 };
      seen.set(role, { workers: before.workers + replicas, groups: before.groups + 1 });
      const workers = leaders
        .filter((spec) => spec.model === model && spec.role === role)
        .slice(before.workers, before.workers + replicas)
        .map((spec) => membersOf(spec, plan.processes));
      return { model, role, modelIndex, groupIndex, ordinal: before.groups, workers };
    });
  });
}

/** `prefill`, with the model where there are several, with its number where the model has several of the role: what `dynamo scale` takes. */
export function nameGroup(group: WorkerGroup, groups: readonly WorkerGroup[]): string {
  const models = new Set(groups.map((entry) => entry.model));
  const alike = groups.filter((entry) => entry.model === group.model && entry.role === group.role);
  const role = alike.length > 1 ? `${group.role}[${group.ordinal}]` : group.role;
  return models.size > 1 ? `${group.model}/${role}` : role;
}

/** The workers of those groups as planning sees who is there already, each on every host it has a part on. `gone`: those that make room. */
export function residentsOf(
  recipe: Recipe,
  groups: readonly WorkerGroup[],
  gone: readonly ProcessSpec[] = [],
): Resident[] {
  return groups.flatMap(({ model, role, modelIndex, groupIndex, workers }) =>
    workers
      .flat()
      .filter((spec) => !gone.includes(spec))
      .map((spec) => ({
        ...{ host: spec.host, model, role, external: spec.external ?? false },
        group: formatPath(recipe.models[modelIndex]!.groups[groupIndex]!.path),
      })),
  );
}
