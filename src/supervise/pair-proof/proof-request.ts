import { randomUUID } from 'node:crypto';
import { judgeChunk } from '../../openai/finish-reason.ts';
import { readUsage } from '../../openai/usage.ts';
import { refusalOf } from '../../openai/worker-error.ts';
import { fetchText } from '../probes.ts';
import type { ProvePair } from '../protocol.ts';

/** The first contact of two NIXL agents has taken more than half a minute. */
const LEG_TIMEOUT_MS = 120_000;

/** One request of a proof: its id, and the body as a client would send it. */
export interface ProofRequest {
  id: string;
  body: Buffer;
}

/** A prompt that nobody has cached, longer than two blocks, and two tokens to generate: the second comes from decode alone. */
export function drawRequest(
  pair: Pick<ProvePair, 'model' | 'blockSize' | 'promptWords'>,
  more: Record<string, unknown> = {},
): ProofRequest {
  const id = `dynamo-proof-${randomUUID()}`;
  const prompt = `${id} ${Array.from({ length: Math.max(pair.blockSize * 3, pair.promptWords ?? 0) }, (_, index) => `w${index}`).join(' ')}`;
  // A first token that stops would leave nothing for decode to do.
  const body = { model: pair.model, prompt, max_tokens: 2, temperature: 0, ignore_eos: true, ...more };
  return { id, body: Buffer.from(JSON.stringify(body)) };
}

export interface LegAnswer {
  body: Buffer;
  tookMs: number;
  /** Null where the answer does not say. */
  promptTokens: number | null;
  completionTokens: number | null;
  cachedTokens: number | null;
  /** Ids of the generated tokens; null where the engine does not tell. */
  tokenIds: readonly number[] | null;
  /** Ids of the prompt; null where the engine does not tell. */
  promptTokenIds: readonly number[] | null;
}

/** A leg that was answered, but not with 200. */
export class LegRefused extends Error {
  readonly leg: 'prefill' | 'decode';
  readonly status: number;

  constructor(leg: 'prefill' | 'decode', status: number, body: Buffer) {
    super(`the ${leg} leg answered ${status}: ${refusalOf(body) || 'an empty body'}`);
    this.leg = leg;
    this.status = status;
  }
}

/** Sends one leg. Throws unless it is answered with 200 (`LegRefused`) and a finish reason that is no failure. */
export async function sendLeg(
  leg: 'prefill' | 'decode',
  url: string,
  body: Buffer,
  requestId: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<LegAnswer> {
  const began = performance.now();
  const answer = await fetchText(`${url}/v1/completions`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-request-id': requestId, ...headers },
    timeoutMs: LEG_TIMEOUT_MS,
    signal,
  }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new Error(`the ${leg} leg: ${networkError(error)}`, { cause: error });
  });
  if (answer.status !== 200) throw new LegRefused(leg, answer.status, answer.body);
  const parsed = parseAnswer(leg, answer.body);
  const { failure } = judgeChunk(parsed);
  // Engines answer 200 and put what went wrong into the finish reason.
  if (failure !== undefined) throw new Error(`the ${leg} leg answered 200 with ${failure}`);
  const usage = readUsage(answer.body);
  const choice = parsed.choices?.[0];
  return {
    body: answer.body,
    tookMs: performance.now() - began,
    promptTokens: usage?.promptTokens ?? null,
    completionTokens: usage?.completionTokens ?? null,
    cachedTokens: usage?.cachedTokens ?? null,
    tokenIds: numbers(choice?.token_ids),
    promptTokenIds: numbers(choice?.prompt_token_ids) ?? numbers(parsed.prompt_token_ids),
  };
}

/** Both legs must have read the same prompt. Returns its length in tokens. */
export function agreeOnPrompt(prefill: LegAnswer, decode: LegAnswer): number {
  const [p, d] = [prefill.promptTokens, decode.promptTokens];
  if (p === null || p === 0) throw new Error('the prefill leg reports no prompt tokens');
  if (d === null) throw new Error('the decode leg reports no usage');
  if (p !== d)
    throw new Error(`the prefill leg read ${p} prompt tokens, the decode leg ${d}: they tokenize differently`);
  if (prefill.promptTokenIds && decode.promptTokenIds && !equal(prefill.promptTokenIds, decode.promptTokenIds))
    throw new Error('the two legs made different tokens of the same prompt');
  return p;
}

/** Why a request failed, in a few words. */
function networkError(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${LEG_TIMEOUT_MS / 1_000} s`;
  return error instanceof Error ? error.message || error.name : String(error);
}

interface Answer {
  choices?: { token_ids?: unknown; prompt_token_ids?: unknown }[];
  prompt_token_ids?: unknown;
}

function parseAnswer(leg: string, body: Buffer): Answer {
  try {
    return JSON.parse(body.toString('utf8')) as Answer;
  } catch {
    throw new Error(`the ${leg} leg answered 200 with what is not JSON: ${excerpt(body)}`);
  }
}

function numbers(value: unknown): readonly number[] | null {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'number') ? value : null;
}

const equal = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);

function excerpt(body: Buffer): string {
  return body.toString('utf8', 0, 300).trim() || 'an empty body';
}
