import { DynamoError } from '../base/errors.ts';
import { isLoopback } from '../base/url-host.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { formatPath } from '../yaml/problem.ts';
import type { PortBook } from './assign-ports.ts';
import { checkEngines } from './check-engines.ts';
import { choosePairs } from './choose-pairs.ts';
import type { HeldGpus } from './held-gpus.ts';
import type { LaunchPlan, ProcessSpec } from './launch-plan.ts';
import { planDiscovery } from './plan-discovery.ts';
import { planFrontends } from './plan-frontends.ts';
import { planHooks } from './plan-hooks.ts';
import { type HostSetup, type PlanHost, preparePlanHosts } from './plan-hosts.ts';
import { type PlannedStore, planStore, type StoreHost } from './plan-store.ts';
import { planWarnings } from './plan-warnings.ts';
import { planWorkers } from './plan-workers.ts';
import type { Resident } from './worker-wish.ts';

export interface PlanInput {
  recipe: Recipe;
  /** Name of the deployment. */
  deployment: string;
  /** Hosts to plan for, those to prefer first. */
  facts: readonly HostFacts[];
  /** What is particular to a host, by its name; `selfCommand` and `discoveryRoot` hold for the others. */
  hosts?: Readonly<Record<string, HostSetup>>;
  /** What could be read of the models' own configurations. */
  models?: KnownModels;
  /** argv prefix that runs dynamo. */
  selfCommand: readonly string[];
  /** Folder of the discovery store. */
  discoveryRoot: string;
  /** Ports that are spoken for though nothing listens yet, on every host. */
  takenPorts?: readonly number[];
  /** Indices of GPUs that other deployments hold: on every host, or by the host's name. */
  takenGpus?: readonly number[] | Readonly<Record<string, readonly number[]>>;
  /** GPUs that others have at this moment, with the reason. */
  heldGpus?: HeldGpus;
  /** Workers of the deployment that run already, and go on beside what is planned. */
  residents?: readonly Resident[];
}

/**
 * Recipe and host facts → everything a start needs. Pure: the same input gives the same plan.
 * Throws `RECIPE_INVALID` (an engine refuses its settings), `HOSTS_INVALID` (hosts without an address for each other), `GPU_UNAVAILABLE`, `PORT_IN_USE` (no port left).
 * Ports the user wrote down are taken as written, also when something listens there now: see `heldPorts`.
 */
export function planLaunch(input: PlanInput): LaunchPlan {
  const { recipe, deployment } = input;
  const engines = checkEngines(recipe, input.models);
  if (engines.problems.length > 0)
    throw new DynamoError('RECIPE_INVALID', `the engines refuse ${recipe.name}`, {
      details: engines.problems.map(({ path, message }) => `${formatPath(path)}: ${message}`),
    });

  const hosts = preparePlanHosts(input);
  if (hosts.length === 0) throw new Error('a plan needs a host');
  for (const host of hosts) reserveWrittenPorts(recipe, host.ports);
  const workers = planWorkers(recipe, hosts, input.models ?? {}, input.residents);
  const store = planOwnStore(recipe, deployment, hosts);
  const discovery = planDiscovery(recipe.discovery, store.processes);
  const used = (specs: readonly ProcessSpec[]): PlanHost[] =>
    hosts.filter(({ name }) => specs.some((spec) => spec.host === name));
  refuseUnreachable(used([...store.processes, ...workers.processes]));
  const frontends = planFrontends(recipe, hosts, {
    deployment,
    discovery,
    workers: workers.processes,
    severalHosts: used([...store.processes, ...workers.processes]).some(({ name }) => name !== hosts[0]!.name),
  });
  const processes = [...store.processes, ...workers.processes, ...frontends].map((spec) => ({
    ...spec,
    ...logOf(recipe),
  }));
  return {
    deployment,
    models: recipe.models.map((model) => model.servedModelName),
    hosts: used(processes).map(({ name }) => name),
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
    ...planHooks(recipe),
    warnings: [...engines.warnings, ...store.warnings, ...planWarnings(recipe, hosts, processes)],
  };
}

/** Processes of several hosts reach each other by the hosts' addresses: a loopback, or one for two, leads nowhere. */
function refuseUnreachable(hosts: readonly PlanHost[]): void {
  if (hosts.length < 2) return;
  const details = hosts.flatMap(({ name, facts }, index) => {
    if (isLoopback(facts.address)) return [`${name}: the other hosts cannot reach ${facts.address}`];
    const twin = hosts.slice(0, index).find((other) => other.facts.address === facts.address);
    return twin ? [`${name}: ${facts.address} is the address of ${twin.name}, too`] : [];
  });
  if (details.length === 0) return;
  throw new DynamoError('HOSTS_INVALID', 'the hosts could not reach each other', {
    details,
    hint: 'Give each its own `dataAddress` in the hosts file, or `address` in its facts.',
  });
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
