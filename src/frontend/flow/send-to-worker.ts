import { performance } from 'node:perf_hooks';
import { judgeChunk } from '../../openai/finish-reason.ts';
import { readUsage, type Usage, withCachedTokens } from '../../openai/usage.ts';
import { streamOfWhole } from '../../openai/whole-as-stream.ts';
import type { FrontendContext } from '../frontend-context.ts';
import type { KnownInstance } from '../instances/instance-table.ts';
import { ClientStream } from '../relay/client-stream.ts';
import { type AnswerGate, GatedOutput } from '../relay/gated-output.ts';
import { frame } from '../relay/http-chunks.ts';
import { SseBody } from '../relay/sse-body.ts';
import { type RelayOutput, StreamRelay } from '../relay/stream-relay.ts';
import { WholeBody } from '../upstream/body-reader.ts';
import type { Exchange, UpstreamRequest } from '../upstream/connection-pool.ts';
import { fetchWhole, type WholeResponse } from '../upstream/fetch-whole.ts';
import type { ResponseHead } from '../upstream/response-head.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { WorkerReply } from './worker-reply.ts';

/** Longest response kept whole. */
const RESPONSE_LIMIT_BYTES = 256 * 1024 * 1024;
/** Longest error body passed on. */
const ERROR_LIMIT_BYTES = 1024 * 1024;

export interface SendOptions {
  body: Buffer;
  /** Response headers that tell the client which workers served it. */
  responseHeaders: Record<string, string>;
  /** Cached tokens found by the prefill leg; null leaves what the worker reports. */
  cachedTokens: number | null;
  resendIfStale: boolean;
  /** The prefill worker that the KV cache is fetched from. */
  partner?: KnownInstance;
  /** Receives the exchange, for who may have to end it. */
  onExchange?(exchange: Exchange): void;
  /** Has the last word on whether the answer may go to the client. */
  gate?: AnswerGate | undefined;
  /** The first content is on its way to the client, or the whole answer is here. */
  onFirstToken(): void;
}

/** A request as bytes for one worker. One that the caller has tied to a worker stays there, whatever becomes of it. */
export function upstreamRequest(
  prepared: PreparedRequest,
  instance: KnownInstance,
  body: Buffer,
  resendIfStale: boolean,
  partner?: KnownInstance,
): UpstreamRequest {
  const { origin } = instance;
  const isMovable = prepared.pins.worker === undefined && prepared.pins.prefill === undefined;
  const head = `POST ${prepared.path} HTTP/1.1\r\nhost: ${origin.authority}\r\ncontent-length: ${body.length}\r\n${prepared.headers}\r\n`;
  return { origin, head, body, resendIfStale, partner: partner?.origin, isMovable };
}

/**
 * Sends the request to a worker and its answer to the client. Resolves when the answer is complete.
 * Rejects with `UpstreamFailure` or `WorkerReply`; whether anything has gone to the client by then is `response.headersSent`.
 */
export async function sendToWorker(
  context: FrontendContext,
  prepared: PreparedRequest,
  instance: KnownInstance,
  options: SendOptions,
): Promise<void> {
  const request = upstreamRequest(prepared, instance, options.body, options.resendIfStale, options.partner);
  if (prepared.request.stream) return relayStream(context, prepared, request, options);
  const answer = await fetchWhole(context.pool, request, RESPONSE_LIMIT_BYTES, (exchange) => {
    options.onExchange?.(exchange);
    prepared.link.attach(exchange);
  });
  // One check serves for both: nothing has gone out.
  await options.gate?.beforeFirst();
  if (prepared.link.gone || prepared.link.cut) throw new UpstreamFailure('aborted', 'the request was given up');
  replyWhole(prepared, answer, options);
}

/** The answer when it is a usable 200. Throws `WorkerReply` for a 4xx and `UpstreamFailure` for everything else. */
export function acceptWhole(answer: WholeResponse): Buffer {
  refuseStatus(answer.head, answer.body);
  if (hasFailureMark(answer.body)) {
    const failure = judgeChunk(parseAnswer(answer.body)).failure;
    if (failure !== undefined) throw new UpstreamFailure('failed', `the worker reported ${failure}`);
  }
  return answer.body;
}

/** Sends an answer that one worker has given whole, as a stream where the client asked for one. */
export function replyComplete(prepared: PreparedRequest, answer: Buffer, headers: Record<string, string>): void {
  note(prepared, readUsage(answer));
  prepared.record.firstTokenMs = performance.now();
  if (!prepared.request.stream) {
    prepared.response.writeHead(200, {
      ...headers,
      'content-type': 'application/json',
      'content-length': answer.length,
    });
    prepared.response.end(answer);
    return;
  }
  const client = new ClientStream(prepared.response, () => {});
  client.open(headers);
  client.write(frame(streamOfWhole(answer, prepared.request)));
  client.end();
}

function replyWhole(prepared: PreparedRequest, answer: WholeResponse, options: SendOptions): void {
  const body = acceptWhole(answer);
  options.onFirstToken();
  const patched = options.cachedTokens === null ? body : withCachedTokens(body, options.cachedTokens);
  note(prepared, readUsage(patched));
  prepared.record.firstTokenMs = performance.now();
  prepared.response.writeHead(200, {
    ...options.responseHeaders,
    'content-type': answer.head.headers.get('content-type') ?? 'application/json',
    'content-length': patched.length,
  });
  prepared.response.end(patched);
}

function relayStream(
  context: FrontendContext,
  prepared: PreparedRequest,
  request: UpstreamRequest,
  options: SendOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = new ClientStream(prepared.response, (full) => prepared.link.press(full));
    const output: RelayOutput = {
      open() {
        exchange.isForwarding = true;
        prepared.record.firstTokenMs = performance.now();
        options.onFirstToken();
        client.open(options.responseHeaders);
      },
      write: (framed) => client.write(framed),
    };
    const gated =
      options.gate &&
      new GatedOutput(output, options.gate, {
        press: (full) => prepared.link.press(full),
        refused(failure) {
          settle(() => {
            throw failure;
          });
          exchange.abort();
        },
        isGone: () => prepared.link.gone || prepared.link.cut,
      });
    const relay = new StreamRelay(gated ?? output, {
      forwardUsage: prepared.request.hasStreamOptions,
      cachedTokens: options.cachedTokens,
    });
    let refusal: { head: ResponseHead; body: WholeBody } | undefined;
    let isSettled = false;
    const settle = (finish: () => Promise<void> | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      try {
        const wait = finish();
        if (wait === undefined) resolve();
        else wait.then(resolve, reject);
      } catch (error) {
        reject(error);
      } finally {
        note(prepared, relay.usage, relay.opened ? relay.chunks : undefined);
      }
    };
    const exchange = context.pool.request(request, {
      head(head) {
        const isStream = head.status === 200 && (head.headers.get('content-type') ?? '').includes('text/event-stream');
        if (isStream) return new SseBody(head.framing, relay);
        refusal = { head, body: new WholeBody(head.framing, ERROR_LIMIT_BYTES) };
        return refusal.body;
      },
      end: () =>
        settle(() => {
          if (refusal) {
            refuseStatus(refusal.head, refusal.body.payload);
            throw new UpstreamFailure('protocol', 'the worker answered a streamed request without a stream');
          }
          relay.finish();
          const wait = gated?.finish();
          if (wait !== undefined) return wait.then(() => client.end());
          client.end();
          return undefined;
        }),
      failed: (failure) =>
        settle(() => {
          throw failure;
        }),
    });
    options.onExchange?.(exchange);
    prepared.link.attach(exchange);
  });
}

export function refuseStatus(head: ResponseHead, body: Buffer): void {
  const { status } = head;
  if (status >= 400 && status < 500) {
    throw new WorkerReply(status, head.headers.get('content-type') ?? 'application/json', body);
  }
  if (status === 503) throw new UpstreamFailure('unavailable', 'the worker answered 503: it loads, or stops');
  if (status !== 200) throw new UpstreamFailure('status', `the worker answered ${status}`);
}

/** A quick look for what only a failed answer has; the exact judgement needs parsing. */
function hasFailureMark(body: Buffer): boolean {
  return body.includes('"error"') || body.includes('"abort"') || body[0] !== 0x7b;
}

function parseAnswer(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new UpstreamFailure('protocol', 'the worker sent an answer that is not JSON');
  }
}

/** Takes over the counts of an answer; `chunks` stand in for generated tokens when there is no usage. */
function note(prepared: PreparedRequest, usage: Usage | undefined, chunks?: number): void {
  const { record } = prepared;
  record.promptTokens = usage?.promptTokens ?? record.promptTokens;
  record.cachedTokens = usage?.cachedTokens ?? record.cachedTokens;
  record.completionTokens = usage?.completionTokens ?? chunks ?? record.completionTokens;
}
