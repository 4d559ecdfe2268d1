import { randomUUID } from 'node:crypto';
import { DynamoError, messageOf } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { decodeLegBody, kvTransferParamsOf, prefillLegBody } from '../engines/vllm/kv-transfer.ts';
import { parsePrometheusText, sumOf } from '../telemetry/prometheus-text.ts';
import { fetchText } from './probes.ts';
import type { ProvePair } from './protocol.ts';

/** What a decode worker counts when KV blocks have arrived from elsewhere (`vllm:` metrics of NixlConnector). */
const TRANSFERS = 'vllm:nixl_xfer_time_seconds_count';
const TRANSFERRED_TOKENS = 'vllm:external_prefix_cache_hits_total';

const LEG_TIMEOUT_MS = 120_000;
const COUNTER_DEADLINE_MS = 5_000;

/**
 * Proves that a prefill worker hands its KV blocks to a decode worker: one unique request longer than two blocks through both
 * legs, and the decode worker's own transfer counters must rise. Equal text alone proves nothing: a decode worker that
 * received nothing computes the prompt itself. Returns the milliseconds it took; throws `KV_PATH_FAILED`.
 */
export async function provePair(pair: ProvePair, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const fail = (what: string, cause?: unknown) =>
    new DynamoError('KV_PATH_FAILED', `${pair.prefill} → ${pair.decode}: ${what}`, { cause });
  try {
    const before = await readCounters(pair.decodeUrl, signal);
    const id = `dynamo-proof-${randomUUID()}`;
    const body = Buffer.from(
      JSON.stringify({ model: pair.model, prompt: uniquePrompt(id, pair.blockSize), max_tokens: 2, temperature: 0 }),
    );
    const first = await leg(pair.prefillUrl, prefillLegBody(body), id, signal);
    if (first.status !== 200) throw fail(`the prefill leg answered ${first.status}: ${excerpt(first.body)}`);
    const params = kvTransferParamsOf(first.body);
    if (!params) throw fail('the prefill leg returned no kv_transfer_params: does it run with a KV connector?');
    const second = await leg(pair.decodeUrl, decodeLegBody(body, params), id, signal);
    if (second.status !== 200) throw fail(`the decode leg answered ${second.status}: ${excerpt(second.body)}`);
    const risen = await until(
      async () => {
        const after = await readCounters(pair.decodeUrl, signal);
        return after.transfers > before.transfers && after.tokens >= before.tokens + pair.blockSize ? true : undefined;
      },
      { deadlineMs: COUNTER_DEADLINE_MS, intervalMs: 10, signal },
    );
    if (!risen)
      throw fail(
        'the request was answered, but the transfer counters of the decode worker did not rise: no KV block arrived',
      );
    return performance.now() - began;
  } catch (error) {
    if (error instanceof DynamoError || signal.aborted) throw error;
    throw fail(messageOf(error), error);
  }
}

function leg(url: string, body: Buffer, requestId: string, signal: AbortSignal) {
  return fetchText(`${url}/v1/completions`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-request-id': requestId },
    timeoutMs: LEG_TIMEOUT_MS,
    signal,
  });
}

async function readCounters(url: string, signal: AbortSignal): Promise<{ transfers: number; tokens: number }> {
  const { body } = await fetchText(`${url}/metrics`, { timeoutMs: 10_000, signal });
  const samples = parsePrometheusText(body.toString());
  return { transfers: sumOf(samples, TRANSFERS) ?? 0, tokens: sumOf(samples, TRANSFERRED_TOKENS) ?? 0 };
}

/** Every word is at least one token; nobody has these blocks cached. */
function uniquePrompt(id: string, blockSize: number): string {
  return `${id} ${Array.from({ length: blockSize * 3 }, (_, index) => `w${index}`).join(' ')}`;
}

function excerpt(body: Buffer): string {
  return body.toString('utf8', 0, 300);
}
