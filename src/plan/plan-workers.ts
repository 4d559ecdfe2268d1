import type { WorkerRole } from '../base/role.ts';
import type { Engine, WorkerSettings } from '../engines/engine.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { Recipe, RestartRecipe, WorkerGroupRecipe } from '../recipe/recipe.ts';
import { assignGpus } from './assign-gpus.ts';
import type { PortBook } from './assign-ports.ts';
import { gpusPerWorker, settingsOf } from './check-engines.ts';
import type { DrainSpec, LivenessSpec, ProcessSpec, RestartSpec } from './launch-plan.ts';

/** One worker before it has ports and GPUs. */
interface Draft {
  name: string;
  /** Which replica of its group, from 0. */
  replica: number;
  group: WorkerGroupRecipe;
  engine: Engine;
  settings: WorkerSettings;
  gpuCount: number;
}

export interface PlannedWorkers {
  processes: ProcessSpec[];
  /** Names by model and role, for the pairs. */
  byModel: { model: string; prefill: string[]; decode: string[] }[];
  /** Names that start together, in order. */
  stages: string[][];
}

/** All workers of a recipe on one host. Names count through each role: `prefill-0`, `prefill-1`, … over all models. */
export function planWorkers(
  recipe: Recipe,
  facts: HostFacts,
  context: { ports: PortBook; selfCommand: readonly string[]; takenGpus: readonly number[] },
): PlannedWorkers {
  const drafts = draftWorkers(recipe);
  const grants = assignGpus(
    drafts.map(({ name, gpuCount, group, settings }) => ({
      worker: name,
      count: gpuCount,
      type: group.gpuType,
      ...(group.workersPerGpu === 1
        ? {}
        : { sharing: { workers: group.workersPerGpu, model: settings.servedModelName } }),
    })),
    facts,
    context.takenGpus,
  );
  const processes = drafts.map((draft) => {
    const grant = grants.get(draft.name);
    const peers = drafts
      .filter((other) => isPeer(draft, other))
      .flatMap((other) => grants.get(other.name)?.indices ?? []);
    return planWorker(draft, facts, {
      ...context,
      gpus: grant?.indices ?? [],
      peerGpus: [...new Set(peers)].sort((a, b) => a - b),
      gpuReason: grant?.reason ?? explainNoGpu(draft),
    });
  });
  const namesOf = (model: string, role: WorkerRole): string[] =>
    processes.filter((spec) => spec.model === model && spec.role === role).map((spec) => spec.name);
  const byModel = recipe.models.map(({ servedModelName: model }) => ({
    model,
    prefill: namesOf(model, 'prefill'),
    decode: namesOf(model, 'decode'),
  }));
  // Workers of one GPU measure its free memory while they start: one after the other.
  const turns = Math.max(1, ...drafts.map(({ name }) => (grants.get(name)?.turn ?? 0) + 1));
  const stages = Array.from({ length: turns }, (_, turn) =>
    drafts.filter(({ name }) => (grants.get(name)?.turn ?? 0) === turn).map(({ name }) => name),
  );
  return { processes, byModel, stages };
}

/** Whether two workers exchange KV cache. */
function isPeer(a: Draft, b: Draft): boolean {
  if (a.settings.servedModelName !== b.settings.servedModelName) return false;
  return a.group.role !== b.group.role && a.group.role !== 'aggregated' && b.group.role !== 'aggregated';
}

function explainNoGpu({ engine, group }: Draft): string {
  if (engine.capabilities.external) return 'no GPU of this deployment';
  if (!engine.capabilities.gpus) return 'no GPU: the simulated engine uses none';
  return group.gpus === 0 ? 'no GPU: the recipe says 0' : `no GPU: ${engine.name} takes none unless \`gpus\` says so`;
}

function draftWorkers(recipe: Recipe): Draft[] {
  const next: Record<WorkerRole, number> = { prefill: 0, decode: 0, aggregated: 0 };
  return recipe.models.flatMap((model) =>
    model.groups.flatMap((group) => {
      const engine = findEngine(group.engine);
      const settings = settingsOf(model, group);
      const gpuCount = gpusPerWorker(engine, settings);
      return Array.from({ length: group.replicas }, (_, replica) => {
        const name = `${group.role}-${next[group.role]}`;
        next[group.role] += 1;
        return { name, replica, group, engine, settings, gpuCount };
      });
    }),
  );
}

function planWorker(
  draft: Draft,
  facts: HostFacts,
  context: { ports: PortBook; selfCommand: readonly string[]; gpus: number[]; peerGpus: number[]; gpuReason: string },
): ProcessSpec {
  const { name, group, engine, settings } = draft;
  const { ports, fixedPorts, reasons: portReasons } = assignPorts(draft, context.ports);
  const startTimeoutMs = group.startTimeout ?? engine.defaults.startTimeoutMs;
  const drain = drainOf(group.drain, engine.defaults.drain);
  const launch = engine.launch(settings, {
    address: facts.address,
    ports,
    gpus: context.gpus,
    peerGpus: context.peerGpus,
    drain,
    selfCommand: context.selfCommand,
    startTimeoutMs,
  });
  return {
    name,
    role: group.role,
    host: facts.name,
    model: settings.servedModelName,
    engine: engine.name,
    argv: launch.argv,
    env: launch.env,
    cwd: null,
    ports,
    fixedPorts,
    gpus: context.gpus,
    url: settings.url ?? `http://${bracket(facts.address)}:${ports['http']}`,
    ...(engine.capabilities.external ? { external: true } : {}),
    readiness: engine.readiness(settings),
    liveness: livenessOf(group.liveness, engine.defaults.liveness),
    startTimeoutMs,
    restart: restartOf(group.restart),
    drain,
    kvTransfer: engine.kvTransfer(settings),
    kvBlockSize: engine.kvBlockSize(settings),
    ...(engine.command === null ? {} : { installHint: engine.command.installHint }),
    ...(launch.files === undefined ? {} : { files: launch.files }),
    reasons: [
      engine.capabilities.external
        ? `somebody else runs it: the agent on ${facts.name} looks at it and publishes it`
        : `runs on ${facts.name}, the only host`,
      context.gpuReason,
      ...portReasons,
      ...launch.reasons,
      ...(engine.stopping === null ? [] : [engine.stopping]),
    ],
  };
}

function assignPorts(
  { engine, settings, group, replica }: Draft,
  book: PortBook,
): { ports: Record<string, number>; fixedPorts: string[]; reasons: string[] } {
  const ports: Record<string, number> = {};
  const fixedPorts: string[] = [];
  const reasons: string[] = [];
  for (const wish of engine.ports(settings)) {
    if (wish.purpose === 'http' && group.port !== undefined) {
      ports['http'] = group.port + replica;
      fixedPorts.push('http');
      reasons.push(`HTTP port ${ports['http']}: the recipe says so`);
      continue;
    }
    const port = book.take(wish.from, wish.count);
    ports[wish.purpose] = port;
    reasons.push(explainPort(wish.purpose, port, wish.from, book.skipped()));
  }
  return { ports, fixedPorts, reasons };
}

const PURPOSES: Record<string, string> = {
  http: 'HTTP',
  sideChannel: 'KV side-channel',
  kvEvents: 'KV event',
  kvReplay: 'KV replay',
  dataParallelMaster: 'data-parallel master',
  dataParallelRpc: 'data-parallel RPC',
  distInit: 'process-group',
  nccl: 'NCCL',
};

/** `HTTP port 8101: the first free one from 8100 (8100 is in use)`. */
export function explainPort(purpose: string, port: number, from: number, skipped: readonly number[]): string {
  const shown = skipped.slice(0, 3).join(', ');
  const more = skipped.length > 3 ? ', …' : '';
  const note = skipped.length === 0 ? '' : ` (in use: ${shown}${more})`;
  return `${PURPOSES[purpose] ?? purpose} port ${port}: the first free one from ${from}${note}`;
}

export function livenessOf(written: WorkerGroupRecipe['liveness'], defaults: LivenessSpec): LivenessSpec | null {
  if (written === false) return null;
  return {
    check: defaults.check,
    periodMs: written?.period ?? defaults.periodMs,
    timeoutMs: written?.timeout ?? defaults.timeoutMs,
    failures: written?.failures ?? defaults.failures,
  };
}

export function restartOf(written: RestartRecipe): RestartSpec {
  return {
    policy: written.policy,
    backoff: {
      initialMs: written.initialBackoff,
      maxMs: Math.max(written.initialBackoff, written.maxBackoff),
      factor: 2,
    },
    resetAfterMs: written.resetAfter,
    maxRestarts: written.maxRestarts,
  };
}

export function drainOf(written: WorkerGroupRecipe['drain'], defaults: DrainSpec): DrainSpec {
  return {
    inFlightMs: written?.inFlight ?? defaults.inFlightMs,
    killAfterMs: written?.killAfter ?? defaults.killAfterMs,
  };
}

/** An IPv6 address stands in brackets within a URL. */
export const bracket = (address: string): string => (address.includes(':') ? `[${address}]` : address);
