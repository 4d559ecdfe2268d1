import { performance } from 'node:perf_hooks';
import { DynamoError } from '../../base/errors.ts';
import type { WorkerRole } from '../../base/role.ts';
import type { FrontendContext } from '../frontend-context.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import type { PickedWorker, Tried } from './pick-worker.ts';
import type { PreparedRequest } from './prepared-request.ts';

/** Most workers tried for one leg of a request. */
export const MAX_TRIES = 3;

/**
 * Decides what a failed try means. Notes it and returns when the request can be tried again; throws the error for the client
 * when it cannot: the client is gone or has part of an answer, the worker refused the request itself, or it was too slow
 * (another worker would only be given the same slow work).
 */
export function noteFailure(
  context: FrontendContext,
  prepared: PreparedRequest,
  role: WorkerRole,
  picked: PickedWorker,
  tried: Tried,
  failure: unknown,
): UpstreamFailure {
  if (!(failure instanceof UpstreamFailure)) throw failure;
  const name = picked.instance.record.name;
  if (failure.isConnectionLoss && context.instances.get(name) === picked.instance)
    picked.instance.suspicion ??= { why: 'failing', sinceMs: performance.now() };
  tried.set(name, failure);
  context.log.warn(
    { requestId: prepared.record.id, worker: name, reason: failure.reason, error: failure.message },
    'a worker failed a request',
  );
  if (prepared.link.gone || prepared.link.cut || prepared.response.headersSent) throw failure;
  if (failure.reason === 'timeout' || failure.reason === 'aborted') throw failure;
  context.metrics.retries.add(1, [prepared.model.name, role, failure.reason]);
  prepared.record.retries += 1;
  return failure;
}

/** The error when no worker is left: the last failure, or that there was none to begin with. */
export function nobodyLeft(prepared: PreparedRequest, role: WorkerRole, last: UpstreamFailure | undefined): Error {
  if (last) return last;
  return new DynamoError('NO_INSTANCES', `no ${role} worker for \`${prepared.model.name}\` can take requests now`);
}
