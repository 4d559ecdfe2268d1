import type { WorkerRole } from '../base/role.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { choosePairs } from './choose-pairs.ts';
import type { LaunchPlan, PairSpec, ProcessSpec } from './launch-plan.ts';
import { type PlanInput, planLaunch } from './plan-launch.ts';
import { groupWorkers, residentsOf, type WorkerGroup } from './running-groups.ts';
import { applyTargets, type ScaleStep, type ScaleTarget } from './scale-targets.ts';
import { isFollower } from './worker-group.ts';

/** What becomes of a running deployment: the plan afterwards, and the way there. */
export interface PlannedChange {
  plan: LaunchPlan;
  /** What the plan was made of, with the new numbers of replicas. */
  input: PlanInput;
  /** New processes, and which of them start together. */
  added: ProcessSpec[];
  stages: string[][];
  /** Pairs that a new worker is part of. */
  pairs: PairSpec[];
  /** Names of processes that go, in the order in which they are drained. */
  removed: string[];
  steps: ScaleStep[];
}

/**
 * Other numbers of workers for what runs. Those that stay keep name, host, ports and GPUs; new ones get the next names and what
 * is free now; of a group that shrinks the newest go. Pure. Throws as `planLaunch`, and `USAGE` for a target that names nothing.
 */
export function planScaling(input: PlanInput, running: LaunchPlan, targets: readonly ScaleTarget[]): PlannedChange {
  const groups = groupWorkers(input.recipe, running);
  const { wanted, steps } = applyTargets(groups, targets);
  const removed = groups.flatMap((group) => {
    const surplus = group.workers.slice(wanted.get(group) ?? group.workers.length);
    return surplus.toReversed().flatMap((worker) => worker.map((spec) => spec.name));
  });
  const extra = planExtra(input, running, groups, wanted);
  const processes = groups.flatMap((group) => [
    ...group.workers.flat().filter((spec) => !removed.includes(spec.name)),
    ...(extra.byGroup.get(group) ?? []),
  ]);
  const others = running.processes.filter((spec) => !isWorker(spec));
  const [before, after] = [
    others.filter((spec) => spec.role === 'store'),
    others.filter((spec) => spec.role !== 'store'),
  ];
  const all = [...before, ...processes, ...after];
  const pairs = pairsOf(input.recipe, all);
  const added = processes.filter((spec) => !running.processes.includes(spec));
  const names = new Set(added.map((spec) => spec.name));
  return {
    plan: {
      ...running,
      // A host without a process still has an agent to be told of the end.
      hosts: [...new Set([...running.hosts, ...all.map((spec) => spec.host)])],
      processes: all,
      stages: [
        ...running.stages.map((stage) => stage.filter((name) => !removed.includes(name))).slice(0, -1),
        ...extra.stages,
        ...running.stages.slice(-1),
      ].filter((stage) => stage.length > 0),
      pairs,
    },
    input: {
      ...input,
      recipe: withReplicas(input.recipe, groups, (group) => wanted.get(group) ?? group.workers.length),
    },
    added,
    stages: extra.stages,
    pairs: pairs.filter(({ prefill, decode }) => names.has(prefill) || names.has(decode)),
    removed,
    steps,
  };
}

export const isWorker = (spec: ProcessSpec): boolean => ['prefill', 'decode', 'aggregated'].includes(spec.role);

/** Plans the additional workers alone, around what runs, and gives them the next names. */
export function planExtra(
  input: PlanInput,
  running: LaunchPlan,
  groups: readonly WorkerGroup[],
  wanted: ReadonlyMap<WorkerGroup, number>,
): { byGroup: Map<WorkerGroup, ProcessSpec[]>; stages: string[][] } {
  const extra = (group: WorkerGroup) => Math.max(0, (wanted.get(group) ?? 0) - group.workers.length);
  const byGroup = new Map<WorkerGroup, ProcessSpec[]>();
  if (!groups.some((group) => extra(group) > 0)) return { byGroup, stages: [] };
  const planned = planLaunch({
    ...input,
    recipe: recipeOfExtra(input.recipe, groups, extra),
    takenPorts: [...(input.takenPorts ?? []), ...running.processes.flatMap((spec) => Object.values(spec.ports))],
    takenGpus: gpusInUse(input, running),
    residents: residentsOf(input.recipe, groups),
  });
  const rename = nextNames(running, planned);
  const workers = planned.processes.filter(isWorker).map((spec) => renamed(spec, rename));
  // The planner keeps the order of the groups, as `groupWorkers` reads it.
  const leaders = workers.filter((spec) => !isFollower(spec));
  for (const group of groups) {
    const own = leaders.filter((spec) => spec.model === group.model && spec.role === group.role).slice(0, extra(group));
    for (const leader of own) leaders.splice(leaders.indexOf(leader), 1);
    byGroup.set(
      group,
      own.flatMap((leader) =>
        workers.filter(
          (spec) => spec === leader || (spec.group !== undefined && spec.group.name === leader.group?.name),
        ),
      ),
    );
  }
  const stages = planned.stages
    .map((stage) => stage.flatMap((name) => rename.get(name) ?? []))
    .filter((stage) => stage.length > 0);
  return { byGroup, stages };
}

export function gpusInUse(input: PlanInput, running: LaunchPlan): Record<string, number[]> {
  const { takenGpus = [] } = input;
  return Object.fromEntries(
    input.facts.map(({ name }) => {
      const others = Array.isArray(takenGpus) ? takenGpus : ((takenGpus as Record<string, number[]>)[name] ?? []);
      const own = running.processes.filter((spec) => spec.host === name).flatMap((spec) => spec.gpus);
      return [name, [...others, ...own]];
    }),
  );
}

/** Planned names → names that follow those in use, by role; followers keep their ending. */
function nextNames(running: LaunchPlan, planned: LaunchPlan): Map<string, string> {
  const next = new Map<string, number>();
  const names = new Map<string, string>();
  for (const spec of running.processes) {
    const index = Number(/-(\d+)$/.exec(spec.group?.name ?? spec.name)?.[1] ?? -1);
    next.set(spec.role, Math.max(next.get(spec.role) ?? 0, index + 1));
  }
  for (const spec of planned.processes.filter(isWorker)) {
    const worker = spec.group?.name ?? spec.name;
    const known = names.get(worker);
    const name = known ?? `${spec.role}-${next.get(spec.role) ?? 0}`;
    if (known === undefined) next.set(spec.role, (next.get(spec.role) ?? 0) + 1);
    names.set(worker, name);
    names.set(spec.name, spec.name.replace(worker, name));
  }
  return names;
}

function renamed(spec: ProcessSpec, names: ReadonlyMap<string, string>): ProcessSpec {
  const { group } = spec;
  return {
    ...spec,
    name: names.get(spec.name) ?? spec.name,
    ...(group ? { group: { ...group, name: names.get(group.name) ?? group.name } } : {}),
  };
}

/** The recipe with other numbers of replicas. */
export function withReplicas(
  recipe: Recipe,
  groups: readonly WorkerGroup[],
  replicas: (group: WorkerGroup) => number,
): Recipe {
  return {
    ...recipe,
    models: recipe.models.map((model, modelIndex) => ({
      ...model,
      groups: model.groups.map((written, groupIndex) => {
        const group = groups.find((entry) => entry.modelIndex === modelIndex && entry.groupIndex === groupIndex);
        return group ? { ...written, replicas: replicas(group) } : written;
      }),
    })),
  };
}

/** The recipe of the additional workers alone. Where a port is written down, they count on from those that run. */
function recipeOfExtra(recipe: Recipe, groups: readonly WorkerGroup[], extra: (group: WorkerGroup) => number): Recipe {
  const { models } = withReplicas(recipe, groups, extra);
  return {
    ...recipe,
    models: models
      .map((model, modelIndex) => ({
        ...model,
        groups: model.groups.flatMap((group, groupIndex) => {
          if (group.replicas === 0) return [];
          const taken = recipe.models[modelIndex]!.groups[groupIndex]!.replicas;
          return [group.port === undefined ? group : { ...group, port: group.port + taken }];
        }),
      }))
      .filter((model) => model.groups.length > 0),
  };
}

/** As the planner chooses them for the whole. */
export function pairsOf(recipe: Recipe, processes: readonly ProcessSpec[]): PairSpec[] {
  const namesOf = (model: string, role: WorkerRole) =>
    processes
      .filter((spec) => spec.model === model && spec.role === role && !isFollower(spec))
      .map((spec) => spec.name);
  return recipe.models.flatMap(({ servedModelName }) =>
    choosePairs(namesOf(servedModelName, 'prefill'), namesOf(servedModelName, 'decode')),
  );
}
