import type { AgentStatus } from '../supervise/protocol.ts';
import { newestPairs } from './newest-pairs.ts';
import type { DeploymentRecord } from './record.ts';
import type {
  AgentSnapshot,
  CopySnapshot,
  DeploymentSnapshot,
  DeploymentState,
  HostSnapshot,
  PairSnapshot,
  ProcessSnapshot,
} from './snapshot.ts';

export interface SnapshotParts {
  record: DeploymentRecord;
  epoch: number;
  /** Null while no controller runs. */
  controllerPid: number | null;
  /** By host; a host without an entry has no agent that answers. */
  agents: ReadonlyMap<string, AgentStatus>;
  /** What is being copied to hosts. */
  copies?: ReadonlyMap<string, CopySnapshot>;
}

/** Joins what record, controller and agents know into one view. Pure. */
export function composeSnapshot(parts: SnapshotParts): DeploymentSnapshot {
  const { record } = parts;
  const added =
    record.change?.added.filter(({ name }) => !record.plan.processes.some((spec) => spec.name === name)) ?? [];
  const hosts = [...new Set([...record.plan.hosts, ...added.map((spec) => spec.host)])];
  const processes = [...record.plan.processes, ...added].map((spec) => {
    const known = parts.agents.get(spec.host)?.processes.find((process) => process.name === spec.name);
    return known ?? unknownProcess(spec, record, parts.agents.has(spec.host));
  });
  return {
    schemaVersion: 1,
    name: record.name,
    state: stateOf(record, processes, parts.agents),
    generation: record.generation,
    epoch: parts.epoch,
    unattended: parts.controllerPid === null && record.phase === 'committed',
    recipe: record.recipeFile,
    planHash: record.planHash,
    change: record.change?.what ?? null,
    scaled: record.scaled?.groups ?? [],
    models: record.plan.models,
    endpoint: record.plan.endpoint,
    startedAt: record.startedAt,
    startSteps: record.startSteps ?? [],
    controller: parts.controllerPid === null ? null : { pid: parts.controllerPid },
    agents: hosts.map((host) => agentSnapshot(host, record, parts.agents.get(host))),
    hosts: hosts.map((host) => ({
      ...hostSnapshot(host, record, parts.agents.get(host)),
      copying: parts.copies?.get(host) ?? null,
    })),
    processes,
    pairs: pairsOf(record, parts.agents),
    suspicions: [...parts.agents.values()].flatMap((status) => status.suspicions ?? []),
    error: record.error,
  };
}

/** A status heard `ms` ago, as it would read now if nothing has changed since. */
export function ageStatus(status: AgentStatus, ms: number): AgentStatus {
  const age = Math.round(ms);
  return {
    ...status,
    processes: status.processes.map((process) => ({ ...process, inStateMs: process.inStateMs + age })),
    pairs: status.pairs.map((pair) => (pair.ageMs === undefined ? pair : { ...pair, ageMs: pair.ageMs + age })),
    ...(status.suspicions && { suspicions: status.suspicions.map((one) => ({ ...one, forMs: one.forMs + age })) }),
  };
}

const STARTING: ReadonlySet<AgentStatus['phase']> = new Set(['prepared', 'starting', 'proved', 'published']);

function stateOf(
  record: DeploymentRecord,
  processes: readonly ProcessSnapshot[],
  agents: ReadonlyMap<string, AgentStatus>,
): DeploymentState {
  if (record.phase !== 'committed') return record.phase;
  // Those that come or go with a change say nothing about those that stay, nor does the agent of a host that only joins.
  const moving = new Set([...(record.change?.added.map(({ name }) => name) ?? []), ...(record.change?.removed ?? [])]);
  const hosts = new Set(processes.filter(({ name }) => !moving.has(name)).map(({ host }) => host));
  // An agent that has not read the commit record yet does not restart anything: the start is not over. What was heard of it last may be
  // of a step before.
  if ([...agents].some(([host, { phase }]) => hosts.has(host) && STARTING.has(phase))) return 'starting';
  const isWell = processes.every((process) => process.state === 'ready' || moving.has(process.name));
  return isWell ? 'ready' : 'degraded';
}

function agentSnapshot(host: string, record: DeploymentRecord, status: AgentStatus | undefined): AgentSnapshot {
  if (!status) return { host, pid: null, state: isStopped(host, record) ? 'stopped' : 'lost', storeProblem: null };
  return {
    host,
    pid: status.identity.pid,
    state: status.inDoubt ? 'in-doubt' : 'connected',
    storeProblem: status.storeProblem ?? null,
  };
}

/** A stop that could not reach all hosts has left nothing on this one. */
const isStopped = (host: string, { phase, stoppedHosts }: DeploymentRecord): boolean =>
  phase === 'stopping' && stoppedHosts?.includes(host) === true;

/** Of devices only those that the hosts file lets us use: its agent sees them all, whoever they are for. */
function hostSnapshot(name: string, record: DeploymentRecord, status: AgentStatus | undefined): HostSnapshot {
  const { planInput } = record;
  const { gpus, nics } = planInput?.hosts?.[name] ?? {};
  const facts = planInput?.facts.find((known) => known.name === name);
  const isOurs = (link: string): boolean =>
    nics?.includes(deviceOf(link)) === true || facts?.rdma?.some(({ device }) => device === deviceOf(link)) === true;
  return {
    name,
    reachable: status !== undefined,
    agent: agentSnapshot(name, record, status).state,
    gpus: status?.gpus?.filter(({ index }) => gpus?.includes(index) ?? true) ?? [],
    links: status?.links?.filter((link) => nics === undefined || isOurs(link.name)) ?? [],
  };
}

/** `mlx5_0/2` is the second port of `mlx5_0`. */
const deviceOf = (link: string): string => link.split('/')[0]!;

function pairsOf(record: DeploymentRecord, agents: ReadonlyMap<string, AgentStatus>): PairSnapshot[] {
  const known = newestPairs(agents.values()).map(({ host: _, ...pair }) => pair);
  return record.plan.pairs.map(
    ({ prefill, decode }) =>
      known.find((pair) => pair.prefill === prefill && pair.decode === decode) ?? {
        prefill,
        decode,
        state: 'unproven',
        detail: null,
      },
  );
}

type Spec = DeploymentRecord['plan']['processes'][number];

/** No agent speaks for it: unknown is not dead, unless the deployment as a whole is down. */
function unknownProcess(spec: Spec, record: DeploymentRecord, agentAnswers: boolean): ProcessSnapshot {
  const down = record.phase === 'stopped' || record.phase === 'failed' || isStopped(spec.host, record);
  return {
    name: spec.name,
    role: spec.role,
    engine: spec.engine,
    host: spec.host,
    state: down ? 'exited' : agentAnswers || record.phase === 'starting' ? 'pending' : 'unknown',
    waitingFor: down || agentAnswers ? null : `an agent on ${spec.host}`,
    pid: null,
    generation: 0,
    restarts: 0,
    url: spec.url,
    ports: spec.ports,
    gpus: spec.gpus,
    lastExit: null,
    inStateMs: 0,
    startPhases: [],
    logFile: '',
  };
}
