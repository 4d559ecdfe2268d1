import { performance } from 'node:perf_hooks';
import { DynamoError } from '../../base/errors.ts';
import type { TwoLegDialect } from '../../engines/kv-transfer-dialect.ts';
import { leaseAllowsDecode } from '../../engines/vllm/kv-transfer.ts';
import type { FrontendContext } from '../frontend-context.ts';
import { askForBaselines, TransferWatch } from '../transfer/transfer-watch.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { decodeWorkers, mayServeTogether } from './pairs.ts';
import { pickWorker, type Tried } from './pick-worker.ts';
import { type FinishedPrefill, runPrefillLeg } from './prefill-leg.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { MAX_TRIES, nobodyLeft, noteFailure } from './retry.ts';
import { replyComplete, sendToWorker } from './send-to-worker.ts';
import { serveWhole } from './serve-whole.ts';

/**
 * Serves a request in two legs: prefill on one worker, then decode on another that fetches the KV cache. Transfer
 * parameters serve once, so whatever goes wrong with leg 2 starts again at leg 1. When no prefill worker delivers, the
 * decode worker does it all if that is allowed, and says so.
 */
export async function serveSplit(
  context: FrontendContext,
  prepared: PreparedRequest,
  dialect: TwoLegDialect,
): Promise<void> {
  const triedPrefill: Tried = new Map();
  const triedDecode: Tried = new Map();
  let last: UpstreamFailure | undefined;
  for (let round = 0; round < MAX_TRIES; round += 1) {
    askForBaselines(context, decodeWorkers(context, prepared.model));
    let prefill: FinishedPrefill;
    try {
      prefill = await runPrefillLeg(context, prepared, dialect, triedPrefill);
    } catch (error) {
      const reason = fallbackReason(error);
      if (reason === undefined || prepared.link.gone || prepared.link.cut) throw error;
      if (!context.options.decodeFallback) throw prefillUnavailable(prepared, error);
      context.metrics.decodeFallbacks.add(1, [prepared.model.name, reason]);
      context.log.warn({ requestId: prepared.record.id, reason }, 'prefill falls back to the decode worker');
      return serveWhole(context, prepared, 'decode', reason);
    }
    try {
      if (prefill.handOver === undefined) return replyFromPrefill(prepared, prefill);
      const leg2 = dialect.decodeBody(prepared.body, prefill.handOver);
      const done = await runDecodeLeg(context, prepared, prefill, { dialect, body: leg2 }, triedDecode);
      if (done === 'served') return;
      last = done;
      // Unless the decode worker is simply gone, the prefill worker may be what failed: try another one first.
      if (!done.isConnectionLoss) triedPrefill.set(prefill.picked.instance.record.name, done);
    } finally {
      prefill.picked.release();
    }
  }
  throw nobodyLeft(prepared, 'decode', last);
}

/** Sends leg 2. Returns the failure after which the request may start over. */
async function runDecodeLeg(
  context: FrontendContext,
  prepared: PreparedRequest,
  prefill: FinishedPrefill,
  leg2: { dialect: TwoLegDialect; body: Buffer },
  tried: Tried,
): Promise<'served' | UpstreamFailure> {
  const picked = pickWorker(context, prepared, 'decode', {
    tried,
    pinned: prepared.pins.worker,
    retrySame: true,
    allows: (decode) => mayServeTogether(context, prefill.picked.instance, decode),
  });
  if (picked === undefined) throw nobodyLeft(prepared, 'decode', [...tried.values()].at(-1));
  const { record } = prepared;
  record.worker = picked.instance.record.name;
  record.prefillWorker = prefill.picked.instance.record.name;
  try {
    if (
      leg2.dialect.hasLease &&
      !leaseAllowsDecode(performance.now() - prefill.finishedMs, context.options.kvLeaseMs)
    ) {
      throw new UpstreamFailure('failed', 'the lease of the prefilled KV cache is nearly over');
    }
    using watch = leg2.dialect.hasLease
      ? await TransferWatch.begin(
          context,
          {
            requestId: record.id,
            model: prepared.model.name,
            startedMs: prefill.startedMs,
            prefilledMs: prefill.finishedMs,
          },
          prefill.picked.instance,
          picked.instance,
        )
      : undefined;
    await sendToWorker(context, prepared, picked.instance, {
      body: leg2.body,
      responseHeaders: {
        'x-request-id': record.id,
        'x-dynamo-prefill-worker': record.prefillWorker,
        'x-dynamo-decode-worker': record.worker,
      },
      cachedTokens: prefill.cachedTokens,
      resendIfStale: false,
      partner: prefill.picked.instance,
      gate: watch,
      onFirstToken() {
        picked.booking.firstToken();
        // The first token proves that the KV cache has been fetched.
        prefill.picked.release();
      },
    });
    return 'served';
  } catch (error) {
    return noteFailure(context, prepared, 'decode', picked, tried, error);
  } finally {
    picked.release();
  }
}

/** Generation ended with the first token, which leg 1 has made. */
function replyFromPrefill(prepared: PreparedRequest, { picked, answer }: FinishedPrefill): void {
  const name = picked.instance.record.name;
  prepared.record.prefillWorker = name;
  replyComplete(prepared, answer, { 'x-request-id': prepared.record.id, 'x-dynamo-prefill-worker': name });
}

/** Why prefill did not happen, as a short word; undefined when the client's request itself is the reason. */
function fallbackReason(error: unknown): string | undefined {
  if (error instanceof UpstreamFailure) return error.reason === 'aborted' ? undefined : `prefill_${error.reason}`;
  if (error instanceof DynamoError && error.code === 'NO_INSTANCES') return 'no_prefill_worker';
  return undefined;
}

function prefillUnavailable(prepared: PreparedRequest, error: unknown): Error {
  if (error instanceof DynamoError) return error;
  return new DynamoError('NO_INSTANCES', `no prefill worker for \`${prepared.model.name}\` completed the request`, {
    cause: error,
  });
}
