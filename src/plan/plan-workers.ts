import type { WorkerRole } from '../base/role.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { checkHostMemory } from './check-host-memory.ts';
import { draftWorkers, isPeer, wishOf } from './draft-workers.ts';
import type { ProcessSpec } from './launch-plan.ts';
import { placeWorkers } from './place-workers.ts';
import type { PlanHost } from './plan-hosts.ts';
import { planWorker } from './plan-worker.ts';
import { isFollower } from './worker-group.ts';
import type { Resident } from './worker-wish.ts';

export interface PlannedWorkers {
  processes: ProcessSpec[];
  /** Names by model and role, for the pairs. */
  byModel: { model: string; prefill: string[]; decode: string[] }[];
  /** Names that start together, in order. */
  stages: string[][];
}

/** All workers of a recipe: where each runs beside the residents, and the processes it becomes. */
export function planWorkers(
  recipe: Recipe,
  hosts: readonly PlanHost[],
  models: KnownModels,
  residents: readonly Resident[] = [],
): PlannedWorkers {
  const drafts = draftWorkers(recipe, models);
  const places = placeWorkers(drafts.map(wishOf), hosts, residents);
  checkHostMemory(drafts, places);
  const workers = drafts.map((draft) => {
    const place = places.get(draft.name)!;
    const peers = drafts.filter((other) => isPeer(draft, other)).flatMap((other) => places.get(other.name)!.members);
    return { turn: place.turn, specs: planWorker(draft, place, peers) };
  });
  const processes = workers.flatMap(({ specs }) => specs);
  const namesOf = (model: string, role: WorkerRole): string[] =>
    processes
      .filter((spec) => spec.model === model && spec.role === role && !isFollower(spec))
      .map((spec) => spec.name);
  const byModel = recipe.models.map(({ servedModelName: model }) => ({
    model,
    prefill: namesOf(model, 'prefill'),
    decode: namesOf(model, 'decode'),
  }));
  // Workers of one GPU measure its free memory while they start: one after the other.
  const turns = Math.max(1, ...workers.map(({ turn }) => turn + 1));
  const stages = Array.from({ length: turns }, (_, turn) =>
    workers.filter((worker) => worker.turn === turn).flatMap(({ specs }) => specs.map((spec) => spec.name)),
  );
  return { processes, byModel, stages };
}
