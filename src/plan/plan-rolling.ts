import type { Recipe } from '../recipe/recipe.ts';
import type { LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { isWorker, pairsOf, planExtra, withReplicas } from './plan-change.ts';
import { canonicalJson } from './plan-hash.ts';
import type { PlanInput } from './plan-launch.ts';
import type { RollingStep } from './plan-replacement.ts';
import { ifItFits, replaceFrontend, replaceWorker } from './plan-replacement.ts';
import { groupWorkers, nameGroup, type WorkerGroup } from './running-groups.ts';
import { frontendSettings, groupSettings } from './settings-hash.ts';

/** How far a deployment is on its way to another recipe. */
export interface RollingState {
  /** What the deployment shall become. */
  target: PlanInput;
  /** Workers and frontends, by the leader's name, that still run with other settings. */
  stale: readonly string[];
}

const ROLES = ['prefill', 'decode', 'aggregated'];

/** What makes a recipe another deployment: it cannot be reached one process at a time. A line each; empty when it can. */
export function rollingObstacles(running: Recipe, target: Recipe): string[] {
  const lines: string[] = [];
  const differ = (what: string, a: unknown, b: unknown): void => {
    if (canonicalJson(a ?? null) !== canonicalJson(b ?? null)) lines.push(what);
  };
  const names = (recipe: Recipe) => recipe.models.map(({ servedModelName }) => servedModelName);
  differ('the models it serves', names(running), names(target));
  differ('discovery', running.discovery, target.discovery);
  differ('startLease', running.startLease, target.startLease);
  differ('frontend.replicas', running.frontend.replicas, target.frontend.replicas);
  for (const model of target.models) {
    const before = running.models.find(({ servedModelName }) => servedModelName === model.servedModelName);
    if (
      before &&
      ROLES.some((role) => before.groups.some((g) => g.role === role) !== model.groups.some((g) => g.role === role))
    )
      lines.push(`the roles of the workers of ${model.servedModelName}`);
  }
  return lines;
}

/** Which workers and frontends run with other settings than the target wants, or where it has no host, by the leader's name. */
export function staleProcesses(
  before: PlanInput,
  target: PlanInput,
  running: LaunchPlan,
  known: readonly string[] = [],
): string[] {
  const wanted = new Map(
    groupWorkers(target.recipe, running).map((group) => [
      keyOf(group),
      groupSettings(target.recipe, group.modelIndex, group.groupIndex),
    ]),
  );
  const isOut = (spec: ProcessSpec) => !target.facts.some(({ name }) => name === spec.host);
  const workers = groupWorkers(before.recipe, running).flatMap((group) => {
    const settings = groupSettings(before.recipe, group.modelIndex, group.groupIndex);
    // One whose group is gone is removed, not replaced.
    const same = !wanted.has(keyOf(group)) || wanted.get(keyOf(group)) === settings;
    return group.workers
      .filter((worker) => !same || known.includes(worker[0]!.name) || worker.some(isOut))
      .map(([leader]) => leader!.name);
  });
  const sameFrontend = frontendSettings(before.recipe) === frontendSettings(target.recipe);
  const frontends = running.processes
    .filter((spec) => spec.role === 'frontend' && (!sameFrontend || known.includes(spec.name) || isOut(spec)))
    .map(({ name }) => name);
  return [...workers, ...frontends];
}

/**
 * The target with as many workers in each group as run: what is planned from while it is on its way. Workers of groups that the
 * target does not have are left over.
 */
export function onTheWay(before: PlanInput, target: PlanInput, running: LaunchPlan): PlanInput {
  const counts = new Map(groupWorkers(before.recipe, running).map((group) => [keyOf(group), group.workers.length]));
  const groups = groupWorkers(target.recipe, running);
  return { ...target, recipe: withReplicas(target.recipe, groups, (group) => counts.get(keyOf(group)) ?? 0) };
}

/**
 * What to do next; undefined when the deployment is what the target says. `input` is the target with the numbers that run and the
 * hosts as they are now. Pure. Throws `GPU_UNAVAILABLE` and the like when the target does not fit.
 */
export function nextRollingStep(
  input: PlanInput,
  running: LaunchPlan,
  { target, stale }: RollingState,
): RollingStep | undefined {
  const groups = groupWorkers(input.recipe, running);
  const wanted = new Map(groups.map((group) => [group, wantedOf(group, target.recipe)]));
  const grows = groups.filter((group) => wanted.get(group)! > group.workers.length);
  const add = (): RollingStep | undefined => {
    if (grows.length === 0) return undefined;
    const { byGroup, stages } = planExtra(input, running, groups, wanted);
    const what = grows
      .map((group) => `${nameGroup(group, groups)} ${group.workers.length} → ${wanted.get(group)}`)
      .join(', ');
    const more = (group: WorkerGroup) => byGroup.get(group) ?? [];
    return {
      ...{ kind: 'add', what, loses: false, added: groups.flatMap(more), stages, removed: [], between: null },
      recipe: withReplicas(input.recipe, groups, (group) => Math.max(wanted.get(group)!, group.workers.length)),
      processes: ordered(running, groups, (group) => [...group.workers.flat(), ...more(group)]),
    };
  };
  const replace = (): RollingStep | undefined => {
    for (const group of groups) {
      const worker = group.workers.find(([leader]) => stale.includes(leader!.name));
      if (worker) return replaceWorker(input, running, groups, group, worker);
    }
    const frontend = running.processes.find(({ role, name }) => role === 'frontend' && stale.includes(name));
    return frontend && replaceFrontend(input, running, frontend);
  };
  return ifItFits(add) ?? replace() ?? removeSurplus(input, running, groups, wanted) ?? add();
}

/** All steps, as far as can be said now. Throws as `nextRollingStep`. */
export function previewRolling(input: PlanInput, running: LaunchPlan, { target, stale }: RollingState): RollingStep[] {
  const steps: RollingStep[] = [];
  for (let now = { input, plan: running, stale }; ; ) {
    const step = nextRollingStep(now.input, now.plan, { target, stale: now.stale });
    if (!step) return steps;
    steps.push(step);
    now = {
      input: { ...now.input, recipe: step.recipe },
      plan: planOf(step.recipe, now.plan, step.processes, step.stages),
      stale: now.stale.filter((name) => !step.removed.includes(name)),
    };
  }
}

/** The plan once these run: what stays, stays as it is. */
export function planOf(
  recipe: Recipe,
  running: LaunchPlan,
  processes: readonly ProcessSpec[],
  newStages: readonly string[][] = [],
): LaunchPlan {
  const names = new Set(processes.map(({ name }) => name));
  const fresh = new Set(newStages.flat());
  const kept = running.stages.map((stage) => stage.filter((name) => names.has(name) && !fresh.has(name)));
  return {
    ...running,
    // A host without a process still has an agent to be told of the end.
    hosts: [...new Set([...running.hosts, ...processes.map((spec) => spec.host)])],
    processes: [...processes],
    stages: [...kept.slice(0, -1), ...newStages, ...kept.slice(-1)].filter((stage) => stage.length > 0),
    pairs: pairsOf(recipe, processes),
  };
}

/** Stores, workers in the order of their groups, those of groups that are no more, frontends. */
function ordered(
  running: LaunchPlan,
  groups: readonly WorkerGroup[],
  workersOf: (group: WorkerGroup) => readonly ProcessSpec[],
): ProcessSpec[] {
  const known = new Set(groups.flatMap((group) => group.workers.flat()));
  return [
    ...running.processes.filter(({ role }) => role === 'store'),
    ...groups.flatMap(workersOf),
    ...running.processes.filter((spec) => isWorker(spec) && !known.has(spec)),
    ...running.processes.filter((spec) => spec.role !== 'store' && !isWorker(spec)),
  ];
}

const keyOf = ({ model, role, ordinal }: WorkerGroup): string => `${model} ${role} ${ordinal}`;
const wantedOf = ({ modelIndex, groupIndex }: WorkerGroup, target: Recipe): number =>
  target.models[modelIndex]!.groups[groupIndex]!.replicas;

function removeSurplus(
  input: PlanInput,
  running: LaunchPlan,
  groups: readonly WorkerGroup[],
  wanted: ReadonlyMap<WorkerGroup, number>,
): RollingStep | undefined {
  const stay = new Set(groups.flatMap((group) => group.workers.slice(0, wanted.get(group)!).flat()));
  const gone = running.processes.filter((spec) => isWorker(spec) && !stay.has(spec));
  const removed = gone.toReversed().map(({ name }) => name);
  if (removed.length === 0) return undefined;
  return {
    ...{ kind: 'remove', what: `${removed.join(', ')}: removed`, loses: false, added: [], stages: [], removed },
    recipe: withReplicas(input.recipe, groups, (group) => Math.min(wanted.get(group)!, group.workers.length)),
    processes: running.processes.filter((spec) => !gone.includes(spec)),
    between: null,
  };
}
