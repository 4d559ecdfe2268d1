import { DynamoError } from '../base/errors.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { gpusInUse, isWorker, planExtra, withReplicas } from './plan-change.ts';
import { type PlanInput, planLaunch } from './plan-launch.ts';
import { residentsOf, type WorkerGroup } from './running-groups.ts';

/** The next thing to do on that way; all of it is done before the one after it is planned. */
export interface RollingStep {
  /** `beside`: the new one is up before the old one goes. `in-place`: the old one goes first, others of its kind serve meanwhile. */
  kind: 'add' | 'remove' | 'beside' | 'in-place';
  /** For people: `prefill-0: replaced in place`. */
  what: string;
  /** The only one of its kind goes before its successor is there. */
  loses: boolean;
  added: ProcessSpec[];
  stages: string[][];
  removed: string[];
  /** The recipe as it then runs, and its processes in order. */
  recipe: Recipe;
  processes: ProcessSpec[];
  /** The same while the old one is gone and the new one is not there yet. */
  between: { recipe: Recipe; processes: ProcessSpec[] } | null;
}

/** One worker by its successor: beside it when it is the only one of its kind and there is room, else in its place. */
export function replaceWorker(
  input: PlanInput,
  running: LaunchPlan,
  groups: readonly WorkerGroup[],
  group: WorkerGroup,
  worker: readonly ProcessSpec[],
): RollingStep {
  const { name } = worker[0]!;
  const alike = groups.filter((other) => other.model === group.model && other.role === group.role);
  const isAlone = alike.flatMap((other) => other.workers).length === 1;
  const beside = isAlone ? ifItFits(() => planBeside(input, running, groups, group)) : undefined;
  const { added, stages } = beside ?? planInPlace(input, running, groups, group, worker);
  const loses = isAlone && !beside;
  const note = loses ? `; it is the only ${group.role} worker: nobody does its work meanwhile` : '';
  const place = placeOf(added) === placeOf(worker) ? 'in place' : `by one on ${placeOf(added)}`;
  return {
    kind: beside ? 'beside' : 'in-place',
    what: beside
      ? `${name}: replaced by ${added[0]!.name}, which is up before it goes`
      : `${name}: replaced ${place}${note}`,
    ...{ loses, added, stages },
    removed: worker.map((spec) => spec.name),
    ...replaced(input.recipe, running, worker, added),
    between: beside
      ? null
      : {
          recipe: withReplicas(input.recipe, groups, (other) => other.workers.length - (other === group ? 1 : 0)),
          processes: running.processes.filter((spec) => !worker.includes(spec)),
        },
  };
}

const placeOf = (worker: readonly ProcessSpec[]): string =>
  [...new Set(worker.map((spec) => spec.host))].toSorted().join(', ');

/** The new one takes the place of the old one: a plan keeps the order of the recipe's groups. */
function replaced(recipe: Recipe, running: LaunchPlan, old: readonly ProcessSpec[], added: readonly ProcessSpec[]) {
  const processes = running.processes.flatMap((spec) => {
    if (spec === old[0]) return [...added];
    return old.includes(spec) ? [] : [spec];
  });
  return { recipe, processes };
}

/** One more of the group, around all that runs. A port that is written down is not free as long as its holder runs. */
function planBeside(input: PlanInput, running: LaunchPlan, groups: readonly WorkerGroup[], group: WorkerGroup) {
  if (input.recipe.models[group.modelIndex]!.groups[group.groupIndex]!.port !== undefined) return undefined;
  const { byGroup, stages } = planExtra(input, running, groups, new Map([[group, group.workers.length + 1]]));
  return { added: byGroup.get(group)!, stages };
}

/** Where it is, with the GPUs it has; where that does not do, where there is room. */
function planInPlace(
  input: PlanInput,
  running: LaunchPlan,
  groups: readonly WorkerGroup[],
  group: WorkerGroup,
  worker: readonly ProcessSpec[],
) {
  const others = { ...running, processes: running.processes.filter((spec) => !worker.includes(spec)) };
  const takenPorts = [...(input.takenPorts ?? []), ...others.processes.flatMap((spec) => Object.values(spec.ports))];
  const index = group.workers.findIndex(([leader]) => leader === worker[0]);
  const residents = residentsOf(input.recipe, groups, worker);
  const base = { ...input, recipe: recipeOfOne(input.recipe, group, index), takenPorts, residents };
  const hosts = [...new Set(worker.map((spec) => spec.host))];
  const facts = hosts.flatMap((host) => input.facts.filter(({ name }) => name === host));
  const notItsOwn = Object.fromEntries(
    facts.map(({ name, gpus }) => {
      const own = worker.filter((spec) => spec.host === name).flatMap((spec) => spec.gpus);
      return [name, gpus.map((gpu) => gpu.index).filter((gpu) => !own.includes(gpu))];
    }),
  );
  const there =
    facts.length === hosts.length ? ifItFits(() => planLaunch({ ...base, facts, takenGpus: notItsOwn })) : null;
  const planned = (there ?? planLaunch({ ...base, takenGpus: gpusInUse(input, others) })).processes.filter(isWorker);
  const [plannedName, name] = [planned[0]!.group?.name ?? planned[0]!.name, worker[0]!.group?.name ?? worker[0]!.name];
  const added = planned.map((spec) => ({
    ...spec,
    name: spec.name.replace(plannedName, name),
    ...(spec.group ? { group: { ...spec.group, name } } : {}),
  }));
  return { added, stages: [added.map((spec) => spec.name)] };
}

function recipeOfOne(recipe: Recipe, { modelIndex, groupIndex }: WorkerGroup, index: number): Recipe {
  const model = recipe.models[modelIndex]!;
  const group = { ...model.groups[groupIndex]!, replicas: 1 };
  if (group.port !== undefined) group.port += index;
  return { ...recipe, models: [{ ...model, groups: [group] }] };
}

/** On its host and port: clients know it by those. On another host only where the target does not have its own any more. */
export function replaceFrontend(input: PlanInput, running: LaunchPlan, old: ProcessSpec): RollingStep {
  const all = running.processes.filter(({ role }) => role === 'frontend');
  const index = all.indexOf(old);
  const { frontend } = input.recipe;
  const isWritten = typeof frontend.port === 'number';
  const port = typeof frontend.port === 'number' ? frontend.port : old.ports['http']! - index;
  const recipe = { ...input.recipe, frontend: { ...frontend, port }, models: oneOfEach(input.recipe) };
  // Without `placement` frontends are on the first host.
  const facts = frontend.placement
    ? input.facts
    : input.facts.toSorted((a, b) => Number(b.name === old.host) - Number(a.name === old.host));
  const planned = planLaunch({ ...input, facts, recipe, takenGpus: [] }).processes.filter(
    ({ role }) => role === 'frontend',
  );
  const spec = { ...planned[index]!, name: old.name };
  const added = [isWritten ? spec : { ...spec, fixedPorts: [] }];
  const isAlone = all.length === 1;
  const note = isAlone ? '; it is the only frontend: requests are refused meanwhile' : '';
  return {
    ...{ kind: 'in-place', what: `${old.name}: replaced in place${note}`, loses: isAlone, added },
    ...{ stages: [[old.name]], removed: [old.name] },
    ...replaced(input.recipe, running, [old], added),
    between: { recipe: input.recipe, processes: running.processes.filter((spec) => spec !== old) },
  };
}

/** Frontends are planned by what kinds of workers there are. */
function oneOfEach({ models }: Recipe): Recipe['models'] {
  return models.map((model) => ({
    ...model,
    groups: model.groups.map((group) => ({ ...group, replicas: 1, port: undefined })),
  }));
}

const DOES_NOT_FIT: readonly string[] = ['GPU_UNAVAILABLE', 'PORT_IN_USE'];

/** What a plan comes to; undefined where there is no room. */
export function ifItFits<T>(plan: () => T): T | undefined {
  try {
    return plan();
  } catch (error) {
    if (error instanceof DynamoError && DOES_NOT_FIT.includes(error.code)) return undefined;
    throw error;
  }
}
