import { randomBytes } from 'node:crypto';
import { bracket } from '../../base/url-host.ts';
import { abortBody, roomOf, SGLANG_BOOTSTRAP } from '../../engines/sglang/kv-transfer.ts';
import { SGLANG_METRICS } from '../../engines/sglang/startup.ts';
import type { Sample } from '../../telemetry/prometheus-text.ts';
import { fetchText } from '../probes.ts';
import type { ProvePair } from '../protocol.ts';
import { awaitCounters, largestRiseOf, readCounters, riseOf } from './counters.ts';
import type { PairEvidence } from './pair-evidence.ts';
import { agreeOnPrompt, drawRequest, type LegAnswer, sendLeg } from './proof-request.ts';
import { addressable, forEachRank, type RankPair, rankPairs, ranksIn, samplesOf } from './ranks.ts';

/**
 * SGLang's histograms of hand-overs, which only the sender fills: each finished transfer once in every rank. A transfer to the
 * fake peer is not observed (`disaggregation/prefill.py`, `observability/req_time_stats.py`).
 */
const TRANSFERS = 'sglang:kv_transfer_latency_ms_count';
const TRANSFER_MS = 'sglang:kv_transfer_latency_ms_sum';
const TRANSFERRED_MIB = 'sglang:kv_transfer_total_mb_sum';
const ABORT_TIMEOUT_MS = 2_000;
const MIB = 1024 ** 2;

/** Label of a data-parallel rank; absent without any. */
const RANK = 'dp_rank';
/** Of the whole worker. 503 until every rank has registered (`disaggregation/common/conn.py`). */
const TOPOLOGY = '/route?prefill_dp_rank=-1&prefill_cp_rank=-1&target_tp_rank=-1&target_pp_rank=-1';
const TOPOLOGY_TIMEOUT_MS = 5_000;

type Bootstrap = NonNullable<ProvePair['bootstrap']>;

/**
 * SGLang: both legs at once in one room. The prefill worker's own transfer counters must rise and neither side may count a failure.
 * With data-parallel ranks each of them takes part at least once, and it is that rank's counters which must rise: one that cannot
 * transfer shows in no other. A second request with the same prompt shows whether the cached tokens that the prefill worker finds get
 * to the decode worker.
 */
export async function proveSglangPair(pair: ProvePair, signal: AbortSignal): Promise<PairEvidence> {
  const { bootstrap } = pair;
  if (bootstrap === null)
    throw new Error('the prefill worker has no bootstrap server where the decode worker could meet it');
  const prefillRanks = await countPrefillRanks(bootstrap, signal);
  const decodeRanks = addressable(ranksIn(await readCounters(pair.decodeUrl, signal), RANK));
  // In order: those after one on another host are on others, too.
  let isElsewhere = false;
  return forEachRank(rankPairs(prefillRanks, decodeRanks), async (ranks) => {
    const proof = await proveRanks(pair, bootstrap, { ...ranks, size: prefillRanks, isElsewhere }, signal);
    isElsewhere = proof.isElsewhere;
    return proof.evidence;
  });
}

/** `size`: ranks of the prefill worker. `isElsewhere`: the one before is on a host whose counters are not seen. */
type Ranks = RankPair & { size: number; isElsewhere: boolean };

/** For counters that are not expected. */
const SHORT_DEADLINE_MS = 500;

async function proveRanks(
  pair: ProvePair,
  bootstrap: Bootstrap,
  ranks: Ranks,
  signal: AbortSignal,
): Promise<{ evidence: PairEvidence; isElsewhere: boolean }> {
  const [prefillBefore, decodeBefore] = await Promise.all([
    readCounters(pair.prefillUrl, signal),
    readCounters(pair.decodeUrl, signal),
  ]);
  const { body } = drawRequest(pair);
  const { prefill, decode } = await race(pair, bootstrap, body, ranks, signal);
  const promptTokens = agreeOnPrompt(prefill, decode);
  if (decode.completionTokens === 0) throw new Error('the decode leg answered 200 without a token');
  const rise = (name: string, samples: readonly Sample[]): number =>
    largestRiseOf(name, ofPrefill(prefillBefore, ranks), ofPrefill(samples, ranks));
  const after = await awaitCounters(
    pair.prefillUrl,
    (samples) => rise(TRANSFERS, samples) > 0,
    signal,
    ranks.isElsewhere ? SHORT_DEADLINE_MS : undefined,
  );
  const decodeAfter = await readCounters(pair.decodeUrl, signal);
  const prefillAfter = after ?? (await readCounters(pair.prefillUrl, signal));
  const failures = failuresBetween(prefillBefore, prefillAfter) + failuresBetween(decodeBefore, decodeAfter);
  if (failures > 0) throw new Error('the request was answered, but the workers count a failed transfer');
  const isElsewhere = !after && reportsElsewhere(prefillAfter, ranks);
  if (!after && !isElsewhere)
    throw new Error(
      `the request was answered, but ${TRANSFERS} of the prefill worker did not rise: no KV page was sent (it needs --enable-metrics)`,
    );
  const mib = rise(TRANSFERRED_MIB, prefillAfter);
  const milliseconds = rise(TRANSFER_MS, prefillAfter);
  const evidence: PairEvidence = {
    bytes: mib > 0 ? Math.round(mib * MIB) : null,
    transferMs: milliseconds > 0 ? milliseconds : null,
    promptTokens,
    prefillMs: prefill.tookMs,
    decodeMs: decode.tookMs,
    failedTries: [],
    facts: [
      isElsewhere
        ? "answered; the rank's counters are not in the worker's metrics, so no count confirms the transfer"
        : `${TRANSFERS} of the prefill worker rose by ${rise(TRANSFERS, prefillAfter)}`,
      ...(ranks.prefill === null || ranks.prefill === 0
        ? [await cachedTokensReported(pair, bootstrap, body, ranks, signal)]
        : []),
    ],
  };
  return { evidence, isElsewhere };
}

/** Samples that name no rank may be any rank's. */
function ofPrefill(samples: readonly Sample[], { prefill }: Ranks): readonly Sample[] {
  return ranksIn(samples, RANK).length === 0 ? samples : samplesOf(samples, RANK, prefill);
}

/** Other ranks report here and this one does not, though it has served a request: it is on another host of the worker. */
function reportsElsewhere(samples: readonly Sample[], { prefill }: Ranks): boolean {
  const known = ranksIn(samples, RANK);
  return prefill !== null && known.length > 0 && !known.includes(prefill);
}

/** A server that does not tell has one. */
async function countPrefillRanks({ host, port }: Bootstrap, signal: AbortSignal): Promise<number> {
  try {
    const { status, body } = await fetchText(`http://${bracket(host)}:${port}${TOPOLOGY}`, {
      timeoutMs: TOPOLOGY_TIMEOUT_MS,
      signal,
    });
    const ranks = status === 200 ? (JSON.parse(body.toString()) as { dp_size?: unknown }).dp_size : undefined;
    return typeof ranks === 'number' && Number.isInteger(ranks) && ranks > 1 ? ranks : 1;
  } catch {
    signal.throwIfAborted();
    return 1;
  }
}

/** The first leg that fails ends the other one by its id: alone it would wait for minutes. */
async function race(
  pair: ProvePair,
  { host, port }: Bootstrap,
  body: Buffer,
  ranks: Ranks,
  signal: AbortSignal,
): Promise<{ prefill: LegAnswer; decode: LegAnswer }> {
  const rid = randomBytes(16).toString('hex');
  const raced = SGLANG_BOOTSTRAP.raceBody(body, { host, port, rooms: [drawRoom(ranks)], rids: [rid] }, false);
  const given = new AbortController();
  const either = AbortSignal.any([signal, given.signal]);
  const legs = [
    sendLeg('prefill', pair.prefillUrl, pinned(raced, { routed_dp_rank: ranks.prefill }), rid, either),
    sendLeg(
      'decode',
      pair.decodeUrl,
      pinned(raced, { routed_dp_rank: ranks.decode, disagg_prefill_dp_rank: ranks.prefill }),
      rid,
      either,
    ),
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

/** Adds what is not null. */
function pinned(body: Buffer, fields: Record<string, number | null>): Buffer {
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  if (given.length === 0) return body;
  return Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), ...Object.fromEntries(given) }));
}

/** By default a prefill worker gives a room to the rank that is its remainder by the number of ranks; pinning another is refused. */
function drawRoom({ prefill, size }: Ranks): number {
  for (;;) {
    const room = roomOf(randomBytes(8));
    if (room === undefined) continue;
    const fitting = room - (room % size) + (prefill ?? 0);
    if (fitting > 0 && fitting <= Number.MAX_SAFE_INTEGER) return fitting;
  }
}

/** Only the prefill worker can know them, so their number on the decode worker shows that its metadata gets across. */
async function cachedTokensReported(
  pair: ProvePair,
  bootstrap: Bootstrap,
  body: Buffer,
  ranks: Ranks,
  signal: AbortSignal,
): Promise<string> {
  const { decode } = await race(pair, bootstrap, body, ranks, signal);
  return decode.cachedTokens !== null && decode.cachedTokens > 0
    ? `asked again, the decode worker reports ${decode.cachedTokens} cached tokens, which only the prefill worker can know`
    : 'asked again, the decode worker reports no cached tokens (no prefix cache, or no --enable-cache-report)';
}

const failuresBetween = (before: readonly Sample[], after: readonly Sample[]): number =>
  SGLANG_METRICS.failedTransfers.reduce((sum, name) => sum + riseOf(name, before, after), 0);
