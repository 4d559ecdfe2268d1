import { judgeChunk } from '../../openai/finish-reason.ts';
import { isDone, splitEvents } from '../../openai/sse-events.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { Exchange } from '../upstream/connection-pool.ts';
import { fetchWhole, type WholeResponse } from '../upstream/fetch-whole.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { abortLeg } from './abort-leg.ts';
import type { PickedWorker } from './pick-worker.ts';
import { mayBeTooLong, PrefillGate } from './prefill-gate.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { acceptWhole, refuseStatus, sendToWorker, upstreamRequest } from './send-to-worker.ts';

const PREFILL_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024;
/** How long a prefill worker may take to answer once the decode worker has answered all. */
const PREFILL_LINGER_MS = 10_000;

export interface Race {
  prefill: PickedWorker;
  decode: PickedWorker;
  /** Body of both legs. */
  body: Buffer;
  rids: readonly string[];
}

/** The leg that failed first, and how. */
export interface LostRace {
  leg: 'prefill' | 'decode';
  failure: unknown;
}

/**
 * Runs both legs of one request. The decode worker's answer goes to the client; the prefill worker's is read and dropped. Resolves
 * with undefined when the client has the whole answer, else with the leg that failed: the other has been told to stop by then.
 * A prefill leg that fails after the first content has done its work and fails nothing; where it may have given up a prompt that is
 * too long, the first content waits for it.
 */
export async function raceLegs(
  context: FrontendContext,
  prepared: PreparedRequest,
  race: Race,
): Promise<LostRace | undefined> {
  const { prefill, decode, body, rids } = race;
  const { record, link } = prepared;
  record.prefillWorker = prefill.instance.record.name;
  record.worker = decode.instance.record.name;
  let prefillExchange: Exchange | undefined;
  let decodeExchange: Exchange | undefined;
  let hasContent = false;
  let lost: LostRace | undefined;
  const lose = (leg: LostRace['leg'], failure: unknown): void => {
    lost ??= { leg, failure };
  };
  const prefillAnswer = fetchWhole(
    context.pool,
    upstreamRequest(prepared, prefill.instance, body, false),
    PREFILL_ANSWER_LIMIT_BYTES,
    (exchange) => {
      prefillExchange = exchange;
    },
  ).then(acceptPrefill);
  const prefillLeg = prefillAnswer.catch((failure: unknown) => {
    if (hasContent || lost !== undefined) return;
    lose('prefill', failure);
    void abortLeg(context, decode.instance, rids, undefined);
    decodeExchange?.abort();
  });
  // A client that leaves takes both legs with it; the prefill leg only once it knows.
  link.whenLost(() => {
    void abortLeg(context, decode.instance, rids, undefined);
    void abortLeg(context, prefill.instance, rids, prefillExchange);
  });
  try {
    await sendToWorker(context, prepared, decode.instance, {
      body,
      responseHeaders: {
        'x-request-id': record.id,
        'x-dynamo-prefill-worker': record.prefillWorker,
        'x-dynamo-decode-worker': record.worker,
      },
      // The prefill worker's count has come with the KV cache.
      cachedTokens: null,
      resendIfStale: false,
      partner: prefill.instance,
      gate: mayBeTooLong(prepared, [prefill.instance, decode.instance])
        ? new PrefillGate(prefillAnswer, PREFILL_LINGER_MS)
        : undefined,
      onExchange(exchange) {
        decodeExchange = exchange;
      },
      onFirstToken() {
        hasContent = true;
        prefill.release();
        decode.booking.firstToken();
      },
    });
    void endPrefill(context, prefillLeg, () => abortLeg(context, prefill.instance, rids, prefillExchange));
    return undefined;
  } catch (failure) {
    const isFirst = lost === undefined;
    lose('decode', failure);
    if (isFirst && !link.gone && !link.cut) {
      void abortLeg(context, decode.instance, rids, undefined);
      void abortLeg(context, prefill.instance, rids, prefillExchange);
    }
    return lost;
  } finally {
    link.whenLost(() => {});
  }
}

/** Refuses an answer to leg 1 that tells of a failure; what it generated does not matter. */
function acceptPrefill(answer: WholeResponse): void {
  if (!(answer.head.headers.get('content-type') ?? '').includes('text/event-stream')) {
    acceptWhole(answer);
    return;
  }
  refuseStatus(answer.head, answer.body);
  for (const { data } of splitEvents(answer.body)) {
    if (data === undefined || isDone(data)) continue;
    const { failure } = judgeChunk(parseEvent(data));
    if (failure !== undefined) throw new UpstreamFailure('failed', `the prefill worker reported ${failure}`);
  }
}

function parseEvent(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    throw new UpstreamFailure('protocol', 'the prefill worker sent an event that is not JSON');
  }
}

/** Lets the prefill leg end by itself for a while. */
async function endPrefill(context: FrontendContext, leg: Promise<void>, abort: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), PREFILL_LINGER_MS).unref();
  });
  const ended = await Promise.race([leg, late]);
  clearTimeout(timer);
  if (ended !== 'late') return;
  context.log.warn({}, 'a prefill worker did not answer although the decode worker has');
  await abort();
}
