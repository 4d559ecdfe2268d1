import { DynamoError, messageOf } from '../base/errors.ts';
import { type ChatAnswer, decodeRate, servedByOf } from './chat-answer.ts';
import { type ChatMessage, type ChatOptions, chatBody } from './chat-request.ts';
import { type ChatPiece, ChatStream } from './chat-stream.ts';

/** Where and how to ask. */
export interface ChatTarget {
  /** Base address without `/v1`. */
  url: string;
  headers: Record<string, string>;
}

/** A server that says nothing for this long has failed. */
const SILENCE_MS = 600_000;
const SEE_LOGS = '`dynamo logs` shows what the frontend and its workers say.';

/**
 * Sends one streamed chat completion and hands its pieces on as they come. A signal that aborts ends the request; what came before
 * is the answer then. Throws `USAGE` for a request the server refuses, `CONNECT_FAILED` when it cannot be reached, leaves, or reports a
 * failure, in its status or in the stream.
 */
export async function askChat(
  target: ChatTarget,
  options: ChatOptions,
  turns: readonly ChatMessage[],
  run: { signal: AbortSignal; now: () => number; onPiece: (piece: ChatPiece) => void },
): Promise<ChatAnswer> {
  const { request } = await import('undici');
  const url = `${target.url}/v1/chat/completions`;
  const startedMs = run.now();
  const stream = new ChatStream();
  const seen = { text: '', reasoning: '', firstMs: null as number | null, lastMs: 0 };
  const take = (pieces: readonly ChatPiece[]): void => {
    for (const piece of pieces) {
      seen.lastMs = run.now();
      seen.firstMs ??= seen.lastMs;
      if (piece.kind === 'text') seen.text += piece.text;
      else seen.reasoning += piece.text;
      run.onPiece(piece);
    }
  };
  let servedBy = servedByOf(() => null);
  try {
    const response = await request(url, {
      method: 'POST',
      headers: { ...target.headers, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: chatBody(options, turns),
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      signal: run.signal,
    });
    servedBy = servedByOf((name) => one(response.headers[name]));
    if (response.statusCode !== 200) throw refusal(url, response.statusCode, await response.body.text());
    for await (const bytes of response.body) take(stream.push(bytes as Buffer));
    take(stream.end());
  } catch (error) {
    if (!run.signal.aborted) throw error instanceof DynamoError ? error : lost(url, error, seen.firstMs !== null);
  }
  if (stream.error !== undefined)
    throw new DynamoError('CONNECT_FAILED', `the answer broke off: ${stream.error}`, { hint: SEE_LOGS });
  if (!run.signal.aborted && seen.firstMs === null && stream.finishReason === undefined)
    throw new DynamoError('CONNECT_FAILED', `${url} answered without a token`, { hint: SEE_LOGS });
  return {
    text: seen.text,
    reasoning: seen.reasoning,
    finishReason: stream.finishReason ?? null,
    usage: stream.usage ?? null,
    ttftMs: seen.firstMs === null ? null : seen.firstMs - startedMs,
    totalMs: run.now() - startedMs,
    tokensPerSecond: decodeRate(stream.usage, seen.firstMs, seen.lastMs),
    servedBy,
    aborted: run.signal.aborted,
  };
}

const one = (value: string | string[] | undefined): string | null => (Array.isArray(value) ? value[0] : value) ?? null;

/** The server's own words where its body has them; upstream bodies are not shown beyond that. */
function refusal(url: string, status: number, body: string): DynamoError {
  const said = messageIn(body);
  const message = `${url} answered ${status}${said === undefined ? '' : `: ${said}`}`;
  if (status === 401 || status === 403)
    return new DynamoError('CONNECT_FAILED', message, {
      hint: 'This server wants a key: name the variable that holds it with --api-key-env.',
    });
  if (status === 404)
    return new DynamoError('USAGE', message, { hint: 'GET /v1/models lists what it serves; choose with --model.' });
  if (status < 500) return new DynamoError('USAGE', message, { hint: 'Change the prompt or the options.' });
  return new DynamoError('CONNECT_FAILED', message, {
    hint: '`dynamo status` says what the deployment does; try again.',
  });
}

function messageIn(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: string | { message?: unknown } };
    if (typeof error === 'string') return error;
    return typeof error?.message === 'string' ? error.message : undefined;
  } catch {
    return undefined;
  }
}

function lost(url: string, error: unknown, hadBegun: boolean): DynamoError {
  const why = messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
  const what = hadBegun ? `the answer of ${url} broke off` : `cannot reach ${url}`;
  return new DynamoError('CONNECT_FAILED', `${what}: ${why}`, { cause: error });
}
