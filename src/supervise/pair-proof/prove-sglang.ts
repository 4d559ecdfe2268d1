import { randomBytes } from 'node:crypto';
import { abortBody, roomOf, SGLANG_BOOTSTRAP } from '../../engines/sglang/kv-transfer.ts';
import { SGLANG_METRICS } from '../../engines/sglang/startup.ts';
import type { Sample } from '../../telemetry/prometheus-text.ts';
import { fetchText } from '../probes.ts';
import type { ProvePair } from '../protocol.ts';
import { awaitCounters, largestRiseOf, readCounters, riseOf } from './counters.ts';
import type { PairEvidence } from './pair-evidence.ts';
import { agreeOnPrompt, drawRequest, type LegAnswer, sendLeg } from './proof-request.ts';

/**
 * SGLang's histograms of hand-overs, which only the sender fills: each finished transfer once in every rank. A transfer to the
 * fake peer is not observed (`disaggregation/prefill.py`, `observability/req_time_stats.py`).
 */
const TRANSFERS = 'sglang:kv_transfer_latency_ms_count';
const TRANSFER_MS = 'sglang:kv_transfer_latency_ms_sum';
const TRANSFERRED_MIB = 'sglang:kv_transfer_total_mb_sum';
const ABORT_TIMEOUT_MS = 2_000;
const MIB = 1024 ** 2;

/**
 * SGLang: both legs at once in one room. The prefill worker's own transfer counters must rise and neither side may count a failure.
 * A second request with the same prompt shows whether the cached tokens that the prefill worker finds get to the decode worker.
 */
export async function proveSglangPair(pair: ProvePair, signal: AbortSignal): Promise<PairEvidence> {
  if (pair.bootstrap === null)
    throw new Error('the prefill worker has no bootstrap server where the decode worker could meet it');
  const [prefillBefore, decodeBefore] = await Promise.all([
    readCounters(pair.prefillUrl, signal),
    readCounters(pair.decodeUrl, signal),
  ]);
  const { body } = drawRequest(pair);
  const { prefill, decode } = await race(pair, pair.bootstrap, body, signal);
  const promptTokens = agreeOnPrompt(prefill, decode);
  if (decode.completionTokens === 0) throw new Error('the decode leg answered 200 without a token');
  const after = await awaitCounters(
    pair.prefillUrl,
    (samples) => largestRiseOf(TRANSFERS, prefillBefore, samples) > 0,
    signal,
  );
  const decodeAfter = await readCounters(pair.decodeUrl, signal);
  const failures =
    failuresBetween(prefillBefore, after ?? (await readCounters(pair.prefillUrl, signal))) +
    failuresBetween(decodeBefore, decodeAfter);
  if (failures > 0) throw new Error('the request was answered, but the workers count a failed transfer');
  if (!after)
    throw new Error(
      `the request was answered, but ${TRANSFERS} of the prefill worker did not rise: no KV page was sent (it needs --enable-metrics)`,
    );
  const mib = largestRiseOf(TRANSFERRED_MIB, prefillBefore, after);
  const milliseconds = largestRiseOf(TRANSFER_MS, prefillBefore, after);
  return {
    bytes: mib > 0 ? Math.round(mib * MIB) : null,
    transferMs: milliseconds > 0 ? milliseconds : null,
    promptTokens,
    prefillMs: prefill.tookMs,
    decodeMs: decode.tookMs,
    failedTries: [],
    facts: [
      `${TRANSFERS} of the prefill worker rose by ${largestRiseOf(TRANSFERS, prefillBefore, after)}`,
      await cachedTokensReported(pair, pair.bootstrap, body, signal),
    ],
  };
}

/** The first leg that fails ends the other one by its id: alone it would wait for minutes. */
async function race(
  pair: ProvePair,
  { host, port }: { host: string; port: number },
  body: Buffer,
  signal: AbortSignal,
): Promise<{ prefill: LegAnswer; decode: LegAnswer }> {
  const rid = randomBytes(16).toString('hex');
  const raced = SGLANG_BOOTSTRAP.raceBody(body, { host, port, rooms: [drawRoom()], rids: [rid] }, false);
  const given = new AbortController();
  const either = AbortSignal.any([signal, given.signal]);
  const legs = [
    sendLeg('prefill', pair.prefillUrl, raced, rid, either),
    sendLeg('decode', pair.decodeUrl, raced, rid, either),
  ] as const;
  try {
    const [prefill, decode] = await Promise.all(legs);
    return { prefill, decode };
  } catch (error) {
    await Promise.all([pair.prefillUrl, pair.decodeUrl].map((url) => abort(url, rid, signal)));
    given.abort();
    await Promise.allSettled(legs);
    throw error;
  }
}

async function abort(url: string, rid: string, signal: AbortSignal): Promise<void> {
  await fetchText(`${url}/abort_request`, {
    method: 'POST',
    body: abortBody(rid),
    headers: { 'content-type': 'application/json' },
    timeoutMs: ABORT_TIMEOUT_MS,
    signal,
  }).catch(() => {});
}

function drawRoom(): number {
  for (;;) {
    const room = roomOf(randomBytes(8));
    if (room !== undefined) return room;
  }
}

/** Only the prefill worker can know them, so their number on the decode worker shows that its metadata gets across. */
async function cachedTokensReported(
  pair: ProvePair,
  bootstrap: { host: string; port: number },
  body: Buffer,
  signal: AbortSignal,
): Promise<string> {
  const { decode } = await race(pair, bootstrap, body, signal);
  return decode.cachedTokens !== null && decode.cachedTokens > 0
    ? `asked again, the decode worker reports ${decode.cachedTokens} cached tokens, which only the prefill worker can know`
    : 'asked again, the decode worker reports no cached tokens (no prefix cache, or no --enable-cache-report)';
}

const failuresBetween = (before: readonly Sample[], after: readonly Sample[]): number =>
  SGLANG_METRICS.failedTransfers.reduce((sum, name) => sum + riseOf(name, before, after), 0);
