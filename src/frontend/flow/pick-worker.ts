import { performance } from 'node:perf_hooks';
import type { WorkerRole } from '../../base/role.ts';
import type { RouteRequest } from '../../routing/policy.ts';
import type { Booking } from '../../routing/router.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import { routeRequestOf } from '../prompt-tokens.ts';
import type { UpstreamFailure } from '../upstream/upstream-failure.ts';
import type { PreparedRequest } from './prepared-request.ts';

/** Workers already tried for this request, with what went wrong. */
export type Tried = Map<string, UpstreamFailure>;

/** A chosen worker with the request charged to it. Everything is released by `release`, which may be called again. */
export interface PickedWorker {
  instance: KnownInstance;
  booking: Booking;
  release(): void;
}

/**
 * Chooses a worker of a role: first among those not tried and not suspect, then among the suspect, last, where `retrySame`
 * allows, among those that failed without losing the connection. Undefined when there is none.
 */
export function pickWorker(
  context: FrontendContext,
  prepared: PreparedRequest,
  role: WorkerRole,
  choice: {
    tried: Tried;
    pinned: string | undefined;
    retrySame: boolean;
    /** Workers that are out of the question for this request. */
    allows?: (instance: KnownInstance) => boolean;
  },
): PickedWorker | undefined {
  const router = prepared.model.routers.get(role);
  if (router === undefined) return undefined;
  const { tried, pinned } = choice;
  const request = routeRequest(context, prepared, router.usesBlocks);
  const usable = (name: string, generation: number): KnownInstance | undefined => {
    const instance = context.instances.get(name);
    return instance?.record.generation === generation && instance.state !== 'draining' ? instance : undefined;
  };
  const passes = [
    (instance: KnownInstance) => !tried.has(instance.record.name) && instance.suspicion === null,
    (instance: KnownInstance) => !tried.has(instance.record.name),
    (instance: KnownInstance) =>
      choice.retrySame && tried.get(instance.record.name)?.isConnectionLoss === false && instance.suspicion === null,
  ];
  for (const pass of passes) {
    const nowMs = performance.now();
    const selection = router.select(request, {
      nowMs,
      pinned,
      eligible: (name, generation) => {
        const instance = usable(name, generation);
        return instance !== undefined && pass(instance) && (choice.allows === undefined || choice.allows(instance));
      },
    });
    if (selection === undefined) continue;
    context.decisions.add({ requestId: prepared.record.id, model: prepared.model.name, role, selection });
    const instance = context.instances.get(selection.worker)!;
    const booking = router.book(selection, request, nowMs);
    instance.inFlight += 1;
    let held = true;
    return {
      instance,
      booking,
      release() {
        booking.end();
        if (held) instance.inFlight -= 1;
        held = false;
      },
    };
  }
  return undefined;
}

const routeRequests = new WeakMap<PreparedRequest, RouteRequest>();

/** Tokens and hashes are made once per request, and only if its router looks at them. */
function routeRequest(context: FrontendContext, prepared: PreparedRequest, withBlocks: boolean): RouteRequest {
  const known = routeRequests.get(prepared);
  if (known) return known;
  const made = routeRequestOf(prepared.request, prepared.clientBytes, {
    engine: prepared.model.engine,
    blockSize: context.options.kvCacheBlockSize,
    withBlocks,
  });
  routeRequests.set(prepared, made);
  return made;
}
