import { randomBytes } from 'node:crypto';
import { DynamoError } from '../../base/errors.ts';
import { until } from '../../base/until.ts';
import { TRTLLM_CONTEXT_FIRST } from '../../engines/trtllm/kv-transfer.ts';
import { findMember, objectMembers } from '../../openai/json-members.ts';
import { fetchText } from '../probes.ts';
import type { ProvePair } from '../protocol.ts';
import type { PairEvidence } from './pair-evidence.ts';
import { agreeOnPrompt, drawRequest, sendLeg } from './proof-request.ts';
import { parsePerfMetrics, type RequestTiming } from './trtllm-perf-metrics.ts';

const READ_TIMEOUT_MS = 10_000;
const REPORT_DEADLINE_MS = 5_000;
const PERF_METRICS = '/perf_metrics';

/**
 * TensorRT-LLM, context first. Its generation server reports every finished request, with the bytes of KV cache it received and
 * when (`/perf_metrics`, which each reader empties); the entry of this very request must tell of a transfer.
 */
export async function proveTrtllmPair(pair: ProvePair, signal: AbortSignal): Promise<PairEvidence> {
  await readTimings(pair.decodeUrl, signal);
  const { id, body } = drawRequest(pair);
  const prefill = await sendLeg('prefill', pair.prefillUrl, TRTLLM_CONTEXT_FIRST.prefillBody(body, drawId), id, signal);
  const outcome = TRTLLM_CONTEXT_FIRST.readPrefill(prefill.body, 'text');
  if (outcome.kind === 'nothing')
    throw new Error('the context leg returned no disaggregated_params: does it run with cache_transceiver_config?');
  if (outcome.kind === 'complete')
    throw new Error('the context leg ended the request, though two tokens were asked for');
  const contextId = contextRequestId(outcome.members[0]?.[1]);
  const decode = await sendLeg(
    'decode',
    pair.decodeUrl,
    TRTLLM_CONTEXT_FIRST.decodeBody(body, outcome.members),
    id,
    signal,
  );
  const promptTokens = agreeOnPrompt(prefill, decode);
  let others = 0;
  const timing = await until(
    async () => {
      const timings = await readTimings(pair.decodeUrl, signal);
      const own = timings.find((entry) => isOf(entry, contextId));
      others += timings.length;
      return own;
    },
    { deadlineMs: REPORT_DEADLINE_MS, intervalMs: 20, signal },
  );
  if (!timing)
    throw unproven(
      `the request was answered, but ${PERF_METRICS} of the generation server does not report it${others > 0 ? `, only ${others} others` : ''}`,
    );
  if (timing.kvBytes === 0)
    throw new Error(
      `the request was answered, but ${PERF_METRICS} of the generation server reports no KV cache that was received for it`,
    );
  return {
    bytes: timing.kvBytes,
    transferMs: timing.transferMs,
    promptTokens,
    prefillMs: prefill.tookMs,
    decodeMs: decode.tookMs,
    failedTries: [],
    facts: [`${PERF_METRICS} of the generation server reports ${timing.kvBytes} bytes of KV cache for this request`],
  };
}

/** Servers that do not name the context request report nothing else while a pair is proven. */
const isOf = (entry: RequestTiming, contextId: string | undefined): boolean =>
  contextId === undefined || entry.contextId === null || entry.contextId === contextId;

/** Takes the reports out of the server. */
async function readTimings(url: string, signal: AbortSignal): Promise<RequestTiming[]> {
  const { status, body } = await fetchText(`${url}${PERF_METRICS}`, { timeoutMs: READ_TIMEOUT_MS, signal });
  const timings = status === 200 ? parsePerfMetrics(body.toString('utf8')) : undefined;
  if (timings !== undefined) return timings;
  throw unproven(`GET ${url}${PERF_METRICS} answers ${status}, and without it nothing is proven`);
}

const unproven = (message: string): DynamoError =>
  new DynamoError('KV_PATH_FAILED', message, {
    hint: 'Start the server with `return_perf_metrics: true` and `perf_metrics_max_requests: 1000` in its options.',
  });

/** `ctx_request_id` as written: it has 64 bits. */
function contextRequestId(params: Buffer | undefined): string | undefined {
  const members = params && objectMembers(params);
  const id = members && findMember(members, 'ctx_request_id');
  return id && params.toString('latin1', id.valueStart, id.valueEnd);
}

/** Below 2^40 lie the ids that TensorRT-LLM gives out itself. */
function drawId(): bigint {
  return (randomBytes(8).readBigUInt64LE() >> 1n) | (1n << 40n);
}
