import { DynamoError } from '../base/errors.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { formatPath } from '../yaml/problem.ts';
import { openPortBook, type PortBook } from './assign-ports.ts';
import { checkEngines } from './check-engines.ts';
import { choosePairs } from './choose-pairs.ts';
import type { LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { planDiscovery } from './plan-discovery.ts';
import { planFrontends } from './plan-frontends.ts';
import { type PlannedStore, planStore, type StoreHost } from './plan-store.ts';
import { planWarnings } from './plan-warnings.ts';
import { planWorkers } from './plan-workers.ts';

export interface PlanInput {
  recipe: Recipe;
  /** Name of the deployment. */
  deployment: string;
  /** Hosts to plan for: exactly one for now. */
  facts: readonly HostFacts[];
  /** argv prefix that runs dynamo. */
  selfCommand: readonly string[];
  /** Folder of the discovery store. */
  discoveryRoot: string;
  /** Ports that are spoken for though nothing listens yet. */
  takenPorts?: readonly number[];
  /** Indices of GPUs that other deployments hold. */
  takenGpus?: readonly number[];
}

/**
 * Recipe and host facts → everything a start needs. Pure: the same input gives the same plan.
 * Throws `RECIPE_INVALID` (an engine refuses its settings), `GPU_UNAVAILABLE`, `PORT_IN_USE` (no port left).
 * Ports the user wrote down are taken as written, also when something listens there now: see `heldPorts`.
 */
export function planLaunch(input: PlanInput): LaunchPlan {
  const { recipe, deployment } = input;
  const [facts] = input.facts;
  if (!facts || input.facts.length > 1) throw new Error(`a plan is for exactly one host, not ${input.facts.length}`);
  const engines = checkEngines(recipe);
  if (engines.problems.length > 0)
    throw new DynamoError('RECIPE_INVALID', `the engines refuse ${recipe.name}`, {
      details: engines.problems.map(({ path, message }) => `${formatPath(path)}: ${message}`),
    });

  const ports = openPortBook(facts, input.takenPorts ?? []);
  reserveWrittenPorts(recipe, ports);
  const { selfCommand } = input;
  const workers = planWorkers(recipe, facts, { ports, selfCommand, takenGpus: input.takenGpus ?? [] });
  const store = planOwnStore(recipe, deployment, [{ facts, ports, discoveryRoot: input.discoveryRoot }]);
  const discovery = planDiscovery(recipe.discovery, store.processes);
  const frontends = planFrontends(recipe, facts, {
    deployment,
    discovery,
    discoveryRoot: input.discoveryRoot,
    ports,
    selfCommand,
    workers: workers.processes,
  });
  const processes = [...store.processes, ...workers.processes, ...frontends].map((spec) => ({
    ...spec,
    ...logOf(recipe),
  }));
  return {
    deployment,
    models: recipe.models.map((model) => model.servedModelName),
    hosts: [facts.name],
    processes,
    stages: [
      ...(store.processes.length === 0 ? [] : [store.processes.map((spec) => spec.name)]),
      ...workers.stages,
      frontends.map((spec) => spec.name),
    ],
    pairs: workers.byModel.flatMap(({ prefill, decode }) => choosePairs(prefill, decode)),
    endpoint: frontends[0]!.url,
    discovery,
    startLeaseMs: recipe.startLease,
    warnings: [...engines.warnings, ...store.warnings, ...planWarnings(recipe, facts, processes)],
  };
}

function planOwnStore({ discovery }: Recipe, deployment: string, hosts: readonly StoreHost[]): PlannedStore {
  const managed = discovery.backend === 'etcd' ? discovery.managed : null;
  return managed ? planStore(managed, deployment, hosts) : { processes: [], warnings: [] };
}

function logOf({ logs }: Recipe): Pick<ProcessSpec, 'log'> {
  return logs ? { log: { maxBytes: logs.maxSize, keep: logs.keep } } : {};
}

function reserveWrittenPorts(recipe: Recipe, book: PortBook): void {
  const claim = (first: number | 'auto' | undefined, replicas: number): void => {
    if (typeof first === 'number') for (let port = first; port < first + replicas; port += 1) book.reserve(port);
  };
  claim(recipe.frontend.port, recipe.frontend.replicas);
  const { discovery } = recipe;
  const managed = discovery.backend === 'etcd' ? discovery.managed : null;
  claim(managed?.port, 1);
  claim(managed?.peerPort, 1);
  for (const { groups } of recipe.models) for (const group of groups) claim(group.port, group.replicas);
}
