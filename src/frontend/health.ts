import type { FrontendContext } from './frontend-context.ts';
import { unservable } from './model-table.ts';

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
    /** Its connections failed of late; new requests go elsewhere. */
    suspect: boolean;
    inFlight: number;
  }[];
}

/** Ready when there is a model and every model that discovery knows can be served. */
export function healthOf(context: FrontendContext): FrontendHealth {
  const stage = stageOf(context);
  return {
    status: stage === null ? 'ready' : 'not_ready',
    stage,
    deployment: context.options.deployment,
    model: context.models.list().map((model) => model.name),
    instances: context.instances.list().map(({ record, state, isSuspect, inFlight }) => ({
      name: record.name,
      generation: record.generation,
      role: record.role,
      state,
      suspect: isSuspect,
      inFlight,
    })),
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
    const problem = unservable(model, (name) => isUsable(context, name), context.options.decodeFallback);
    if (problem !== undefined) return `${model.name}: ${problem}`;
  }
  return null;
}

/** Whether new requests may go to the worker. */
export function isUsable(context: FrontendContext, name: string): boolean {
  const instance = context.instances.get(name);
  return instance !== undefined && instance.state !== 'draining' && !instance.isSuspect;
}
