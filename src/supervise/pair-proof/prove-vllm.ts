import { decodeLegBody, FAILED_TRANSFERS, kvTransferParamsOf, prefillLegBody } from '../../engines/vllm/kv-transfer.ts';
import type { Sample } from '../../telemetry/prometheus-text.ts';
import type { ProvePair } from '../protocol.ts';
import { awaitCounters, readCounters, riseOf } from './counters.ts';
import type { PairEvidence } from './pair-evidence.ts';
import { agreeOnPrompt, drawRequest, type LegAnswer, LegRefused, sendLeg } from './proof-request.ts';
import { addressable, forEachRank, type RankPair, rankPairs, ranksIn, samplesOf } from './ranks.ts';

/** What a decode worker counts when KV blocks have arrived from elsewhere (`vllm:` metrics of NixlConnector). */
const TRANSFERS = 'vllm:nixl_xfer_time_seconds_count';
const TRANSFER_SECONDS = 'vllm:nixl_xfer_time_seconds_sum';
const TRANSFERRED_BYTES = 'vllm:nixl_bytes_transferred_sum';
const TRANSFERRED_TOKENS = 'vllm:external_prefix_cache_hits_total';

/** Two workers may round a near tie differently; not three times, on three prompts. */
const TRIES = 3;
/**
 * On first contact a decode worker waits 5 s for the prefill worker's side channel, and answers 500 where that is busy; the same
 * when a prefill worker was restarted at its old address. The next request, with a first leg of its own, was seen to be right.
 */
const CONTACTS = 3;

/** Label of an engine behind one server: a data-parallel rank. */
const RANK = 'engine';
/** Pins a request to one of them (`entrypoints/openai/engine/serving.py`). */
const RANK_HEADER = 'x-data-parallel-rank';
/** What a prefill worker counts when it has computed a prompt. */
const PROMPT_TOKENS = 'vllm:prompt_tokens_total';

/**
 * vLLM with NIXL: the decode worker counts the transfers that reached it, and the tokens they brought. The two legs must also
 * agree on the first token: a decode worker with another prompt's blocks answers 200, counts a transfer, and is wrong. Data-parallel
 * ranks are engines of their own with side channels of their own: each takes part at least once.
 */
export async function proveVllmPair(pair: ProvePair, signal: AbortSignal): Promise<PairEvidence> {
  const [prefill, decode] = await Promise.all(
    [pair.prefillUrl, pair.decodeUrl].map(async (url) => addressable(ranksIn(await knownRanks(url, signal), RANK))),
  );
  const pairs = rankPairs(prefill ?? 1, decode ?? 1);
  return forEachRank(pairs, (ranks) => proveRanks(pair, ranks, signal));
}

/** A prefill worker without metrics is one that has no ranks; a decode worker proves nothing without. */
async function knownRanks(url: string, signal: AbortSignal): Promise<Sample[]> {
  try {
    return await readCounters(url, signal);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

async function proveRanks(pair: ProvePair, ranks: RankPair, signal: AbortSignal): Promise<PairEvidence> {
  const failedTries: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const { evidence, prefill, decode } = await contact(pair, ranks, failedTries, signal);
    evidence.failedTries = failedTries;
    evidence.facts.push(...failedTries.map((failure) => `a try before this one failed: ${failure}`));
    const agreement = firstTokenAgrees(prefill, decode);
    if (agreement === true) evidence.facts.push('both legs generated the same first token');
    if (agreement !== false) return evidence;
    if (attempt === TRIES)
      throw new Error(
        `KV blocks arrived, but the decode leg generated another first token than the prefill leg on ${TRIES} prompts: it does not read what was sent`,
      );
  }
}

async function contact(
  pair: ProvePair,
  ranks: RankPair,
  failedTries: string[],
  signal: AbortSignal,
): ReturnType<typeof tryOnce> {
  for (;;) {
    try {
      return await tryOnce(pair, ranks, signal);
    } catch (error) {
      const isContact = error instanceof LegRefused && error.leg === 'decode' && error.status === 500;
      if (!isContact || failedTries.length + 1 >= CONTACTS) throw error;
      failedTries.push(error.message);
    }
  }
}

async function tryOnce(
  pair: ProvePair,
  ranks: RankPair,
  signal: AbortSignal,
): Promise<{ evidence: PairEvidence; prefill: LegAnswer; decode: LegAnswer }> {
  const ofDecode = (samples: readonly Sample[]) => samplesOf(samples, RANK, ranks.decode);
  const before = ofDecode(await readCounters(pair.decodeUrl, signal));
  const prefillBefore = ranks.prefill === null ? [] : await readCounters(pair.prefillUrl, signal);
  const { id, body } = drawRequest(pair, { return_token_ids: true });
  const prefill = await sendLeg('prefill', pair.prefillUrl, prefillLegBody(body), id, signal, pinTo(ranks.prefill));
  const params = kvTransferParamsOf(prefill.body);
  if (!params) throw new Error('the prefill leg returned no kv_transfer_params: does it run with a KV connector?');
  const decodeBody = decodeLegBody(body, params);
  const decode = await sendLeg('decode', pair.decodeUrl, decodeBody, id, signal, pinTo(ranks.decode));
  const promptTokens = agreeOnPrompt(prefill, decode);
  const after = ofDecode(
    (await awaitCounters(
      pair.decodeUrl,
      (samples) =>
        riseOf(TRANSFERS, before, ofDecode(samples)) > 0 &&
        riseOf(TRANSFERRED_TOKENS, before, ofDecode(samples)) >= pair.blockSize,
      signal,
    )) ?? [],
  );
  if (after.length === 0) {
    const failed = riseOf(FAILED_TRANSFERS, before, ofDecode(await readCounters(pair.decodeUrl, signal)));
    throw new Error(
      failed > 0
        ? 'the request was answered, but the decode worker counts a failed transfer'
        : 'the request was answered, but the transfer counters of the decode worker did not rise: no KV block arrived',
    );
  }
  if (ranks.prefill !== null) await sawPrompt(pair, ranks.prefill, prefillBefore, signal);
  const bytes = riseOf(TRANSFERRED_BYTES, before, after);
  const seconds = riseOf(TRANSFER_SECONDS, before, after);
  return {
    evidence: {
      bytes: bytes > 0 ? bytes : null,
      transferMs: seconds > 0 ? seconds * 1_000 : null,
      promptTokens,
      prefillMs: prefill.tookMs,
      decodeMs: decode.tookMs,
      facts: [
        `${TRANSFERS} of the decode worker rose by ${riseOf(TRANSFERS, before, after)}`,
        `${riseOf(TRANSFERRED_TOKENS, before, after)} tokens of KV cache came from outside`,
      ],
      failedTries: [],
    },
    prefill,
    decode,
  };
}

const pinTo = (rank: number | null): Record<string, string> => (rank === null ? {} : { [RANK_HEADER]: String(rank) });

/** Throws unless that very rank has computed a prompt: otherwise another one has been proven. */
async function sawPrompt(pair: ProvePair, rank: number, before: readonly Sample[], signal: AbortSignal): Promise<void> {
  const ofRank = (samples: readonly Sample[]) => samplesOf(samples, RANK, rank);
  const hasRisen = (samples: readonly Sample[]) => riseOf(PROMPT_TOKENS, ofRank(before), ofRank(samples)) > 0;
  if (await awaitCounters(pair.prefillUrl, hasRisen, signal)) return;
  throw new Error(`KV blocks arrived, but not from this rank: the prefill worker does not follow ${RANK_HEADER}`);
}

/** Undefined where the engine does not tell its tokens. */
function firstTokenAgrees(prefill: LegAnswer, decode: LegAnswer): boolean | undefined {
  const [p, d] = [prefill.tokenIds?.[0], decode.tokenIds?.[0]];
  return p === undefined || d === undefined ? undefined : p === d;
}
