import { performance } from 'node:perf_hooks';
import type { WorkerRole } from '../base/role.ts';
import { decodeWorkers, mayServeTogether } from './flow/pairs.ts';
import type { FrontendContext } from './frontend-context.ts';
import { type Suspicion, suspicionAt } from './instances/instance-table.ts';
import { type ServedModel, unservable } from './model-table.ts';
import type { QuarantinedPair } from './transfer/pair-quarantine.ts';

/** Body of GET /health. Agents read `instances` to learn that a drain has been acknowledged. */
export interface FrontendHealth {
  status: 'ready' | 'not_ready';
  /** What it waits for, while it is not ready. */
  stage: string | null;
  deployment: string;
  /** Models known. */
  model: string[];
  instances: {
    name: string;
    generation: number;
    role: string;
    state: 'ready' | 'draining' | 'lapsed';
    /** New requests go elsewhere. */
    suspect: boolean;
    /** Why: its connections fail, or nothing has come from its machine, for so long. Null while it is not suspect. */
    suspicion: { why: Suspicion['why']; forMs: number } | null;
    inFlight: number;
  }[];
  /** Pairs that get no requests for a while, because a KV transfer between them failed. */
  quarantinedPairs: QuarantinedPair[];
}

/** Ready when there is a model and every model that discovery knows can be served. */
export function healthOf(context: FrontendContext): FrontendHealth {
  const stage = stageOf(context);
  const nowMs = performance.now();
  return {
    status: stage === null ? 'ready' : 'not_ready',
    stage,
    deployment: context.options.deployment,
    model: context.models.list().map((model) => model.name),
    instances: context.instances.list().map(({ record, state, suspicion, inFlight }) => ({
      name: record.name,
      generation: record.generation,
      role: record.role,
      state,
      suspect: suspicion !== null,
      suspicion: suspicion && suspicionAt(suspicion, nowMs),
      inFlight,
    })),
    quarantinedPairs: context.transfers.quarantine.list(nowMs),
  };
}

function stageOf(context: FrontendContext): string | null {
  if (context.isDraining) return 'draining';
  const models = context.models.list();
  if (models.length === 0) {
    if (context.instances.storeProblem !== null) return `discovery cannot be read: ${context.instances.storeProblem}`;
    return context.instances.isSynced ? 'waiting for workers' : 'reading discovery';
  }
  for (const model of models) {
    const problem = problemOf(context, model);
    if (problem !== undefined) return `${model.name}: ${problem}`;
  }
  return null;
}

/** Why a model cannot take requests now; undefined when it can. */
export function problemOf(context: FrontendContext, model: ServedModel): string | undefined {
  const { decodeFallback } = context.options;
  const problem = unservable(model, (name) => isUsable(context, name), decodeFallback);
  if (problem !== undefined || decodeFallback || context.transfers.quarantine.isEmpty(performance.now()))
    return problem;
  const usable = (role: WorkerRole) =>
    (model.routers.get(role)?.workers() ?? []).filter(({ id }) => isUsable(context, id));
  if (usable('aggregated').length > 0) return undefined;
  const decodes = decodeWorkers(context, model).filter(({ record }) => isUsable(context, record.name));
  const hasPair = usable('prefill').some(({ id }) => {
    const prefill = context.instances.get(id);
    return prefill !== undefined && decodes.some((decode) => mayServeTogether(context, prefill, decode));
  });
  return hasPair ? undefined : 'every pair of prefill and decode workers is quarantined';
}

/** Whether new requests may go to the worker. */
function isUsable(context: FrontendContext, name: string): boolean {
  const instance = context.instances.get(name);
  return instance !== undefined && instance.state !== 'draining' && instance.suspicion === null;
}
