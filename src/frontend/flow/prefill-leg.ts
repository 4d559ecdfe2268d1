import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { HandOver, PrefillOutcome, TwoLegDialect } from '../../engines/kv-transfer-dialect.ts';
import { readUsage } from '../../openai/usage.ts';
import type { FrontendContext } from '../frontend-context.ts';
import { fetchWhole } from '../upstream/fetch-whole.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { partnerTest } from './pairs.ts';
import { type PickedWorker, pickWorker, type Tried } from './pick-worker.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { MAX_TRIES, nobodyLeft, noteFailure } from './retry.ts';
import { acceptWhole, upstreamRequest } from './send-to-worker.ts';

const LEG_1_LIMIT_BYTES = 64 * 1024 * 1024;

/** A finished prefill whose KV cache waits to be fetched. `picked` stays charged to the worker until it is. */
export interface FinishedPrefill {
  picked: PickedWorker;
  startedMs: number;
  /** What leg 2 gets; undefined when `answer` is the whole answer already. */
  handOver: HandOver | undefined;
  answer: Buffer;
  cachedTokens: number | null;
  finishedMs: number;
}

/**
 * Runs leg 1 on a prefill worker, on another one when it fails. Throws `WorkerReply` when the worker refuses the request
 * itself, `NO_INSTANCES` when there is no prefill worker, else the last `UpstreamFailure`.
 */
export async function runPrefillLeg(
  context: FrontendContext,
  prepared: PreparedRequest,
  dialect: TwoLegDialect,
  tried: Tried,
): Promise<FinishedPrefill> {
  const body = dialect.prefillBody(prepared.body, drawId);
  let last: UpstreamFailure | undefined;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    // A worker is tried again only in a later round, for a failure of leg 2 that need not have been its own.
    const picked = pickWorker(context, prepared, 'prefill', {
      tried,
      pinned: prepared.pins.prefill,
      retrySame: tries === 0,
      allows: partnerTest(context, prepared.model),
    });
    if (picked === undefined) break;
    let isKept = false;
    const startedMs = performance.now();
    try {
      const request = upstreamRequest(prepared, picked.instance, body, true);
      const answer = acceptWhole(
        await fetchWhole(context.pool, request, LEG_1_LIMIT_BYTES, (exchange) => prepared.link.attach(exchange)),
      );
      const outcome: PrefillOutcome = dialect.readPrefill(answer, prepared.request.kind);
      if (outcome.kind === 'nothing') throw new UpstreamFailure('failed', 'the worker kept no KV cache for transfer');
      picked.booking.end();
      isKept = true;
      return {
        picked,
        startedMs,
        handOver: outcome.kind === 'handed-over' ? outcome.members : undefined,
        answer: outcome.kind === 'complete' ? outcome.answer : answer,
        cachedTokens: readUsage(answer)?.cachedTokens ?? null,
        finishedMs: performance.now(),
      };
    } catch (error) {
      last = noteFailure(context, prepared, 'prefill', picked, tried, error);
    } finally {
      if (!isKept) picked.release();
    }
  }
  throw nobodyLeft(prepared, 'prefill', last);
}

/** 63 bits; below 2^40 lie the ids that TensorRT-LLM gives out itself. */
function drawId(): bigint {
  return (randomBytes(8).readBigUInt64LE() >> 1n) | (1n << 40n);
}
