import type { GpuFacts, HostFacts } from '../hosts/host-facts.ts';
import { openPortBook, type PortBook } from './assign-ports.ts';
import type { HeldGpus } from './held-gpus.ts';
import type { EnvValue } from './launch-plan.ts';

/** What is particular to one host of a plan and not to be seen in its facts. */
export interface HostSetup {
  /** argv prefix that runs dynamo there. */
  selfCommand: readonly string[];
  /** Folder of the discovery store there. */
  discoveryRoot: string;
  /** Variables for every process there: the recipe's own come before them, the adapters' before both. */
  env?: Readonly<Record<string, EnvValue>>;
  /** Indices of the GPUs that may be used. Default: all. */
  gpus?: readonly number[];
  /** Network and RDMA devices that may be used. Default: all, and libraries choose. */
  nics?: readonly string[];
  /** Labels on top of those in the facts. */
  labels?: Readonly<Record<string, string>>;
}

/** A host as planning sees it. */
export interface PlanHost extends HostSetup {
  name: string;
  facts: HostFacts;
  /** GPUs that can be given, by index; `held` says why the others cannot. */
  freeGpus: readonly GpuFacts[];
  held: ReadonlyMap<number, string>;
  env: Readonly<Record<string, EnvValue>>;
  /** Those of its entry, and `host`, which is its name. */
  labels: Readonly<Record<string, string>>;
  ports: PortBook;
}

export interface HostsInput {
  facts: readonly HostFacts[];
  hosts?: Readonly<Record<string, HostSetup>>;
  selfCommand: readonly string[];
  discoveryRoot: string;
  takenPorts?: readonly number[];
  takenGpus?: readonly number[] | Readonly<Record<string, readonly number[]>>;
  heldGpus?: HeldGpus;
}

/** Facts, site settings and what is taken already, together for each host, in the order given. */
export function preparePlanHosts(input: HostsInput): PlanHost[] {
  const { facts, takenGpus = [] } = input;
  return facts.map((host) => {
    const setup = input.hosts?.[host.name] ?? { selfCommand: input.selfCommand, discoveryRoot: input.discoveryRoot };
    const taken = isList(takenGpus) ? takenGpus : (takenGpus[host.name] ?? []);
    const held = new Map<number, string>();
    for (const { index } of host.gpus) {
      const why = input.heldGpus?.[host.name]?.[index];
      if (setup.gpus && !setup.gpus.includes(index)) held.set(index, 'not to be used, says the hosts file');
      else if (why !== undefined) held.set(index, why);
      else if (taken.includes(index)) held.set(index, 'held by another deployment');
    }
    return {
      ...setup,
      name: host.name,
      facts: host,
      held,
      freeGpus: host.gpus.filter(({ index }) => !held.has(index)).toSorted((a, b) => a.index - b.index),
      env: setup.env ?? {},
      labels: { ...host.labels, ...setup.labels, host: host.name },
      ports: openPortBook(host, input.takenPorts ?? []),
    };
  });
}

const isList = (value: HostsInput['takenGpus']): value is readonly number[] => Array.isArray(value);

/** Whether a host has every label asked for. */
export function hasLabels(host: PlanHost, wanted: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([label, value]) => host.labels[label] === value);
}

/** `rack=a, zone=north`. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(', ');
}
