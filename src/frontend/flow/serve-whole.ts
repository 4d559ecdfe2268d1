import type { FrontendContext } from '../frontend-context.ts';
import type { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { pickWorker, type Tried } from './pick-worker.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { MAX_TRIES, nobodyLeft, noteFailure } from './retry.ts';
import { sendToWorker } from './send-to-worker.ts';

/**
 * Serves a request on one worker: an aggregated one, or a decode worker that does the prefill itself (`localPrefill` says why).
 * A worker that fails before the client has anything is replaced by another.
 */
export async function serveWhole(
  context: FrontendContext,
  prepared: PreparedRequest,
  role: 'aggregated' | 'decode',
  localPrefill?: string,
): Promise<void> {
  const tried: Tried = new Map();
  let last: UpstreamFailure | undefined;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const picked = pickWorker(context, prepared, role, { tried, pinned: prepared.pins.worker, retrySame: false });
    if (picked === undefined) break;
    const name = picked.instance.record.name;
    prepared.record.worker = name;
    prepared.record.localPrefill = localPrefill;
    try {
      await sendToWorker(context, prepared, picked.instance, {
        body: prepared.body,
        responseHeaders: workerHeaders(prepared, name, localPrefill),
        cachedTokens: null,
        resendIfStale: true,
        onFirstToken: () => picked.booking.firstToken(),
      });
      return;
    } catch (error) {
      last = noteFailure(context, prepared, role, picked, tried, error);
    } finally {
      picked.release();
    }
  }
  throw nobodyLeft(prepared, role, last);
}

function workerHeaders(prepared: PreparedRequest, name: string, localPrefill?: string): Record<string, string> {
  const headers: Record<string, string> = { 'x-request-id': prepared.record.id };
  if (localPrefill === undefined) headers['x-dynamo-worker'] = name;
  else {
    headers['x-dynamo-decode-worker'] = name;
    headers['x-dynamo-local-prefill'] = localPrefill;
  }
  return headers;
}
