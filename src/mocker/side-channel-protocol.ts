/**
 * The side channel between two simulated workers, in place of vLLM's ZMQ listener and NIXL: TCP, one JSON object a line,
 * answers in the order of the requests, one connection per transfer.
 *
 *   reader → {"op":"claim","engine_id":E,"request_id":R,"block_ids":[[…]]}     may I read the blocks of R?
 *   holder → {"ok":true,"num_tokens":N,"prefix":[a,b],"last_token":T}          yes; `prefix` stands for their content
 *   reader → {"op":"done","engine_id":E,"request_id":R}                        read; free them
 *   holder → {"ok":true}
 *   reader → {"op":"heartbeat","engine_id":E,"request_id":R}                   not read yet; keep them
 *   holder → {"ok":true}
 *   holder → {"ok":false,"error":"…"}                                          to any of them
 *
 * A line that is no such message is answered with an error and the connection is closed. A claim is bound to its
 * connection only by the lease: a reader that vanishes leaves the blocks to expire.
 */
export const MAX_LINE_BYTES = 1 << 20;

export interface SideChannelRequest {
  op: 'claim' | 'done' | 'heartbeat';
  engine_id: string;
  request_id: string;
  block_ids?: number[][];
}

/** What a claim is answered with: the state of the model after the tokens held. `num_tokens` 0: nothing is there. */
export interface ClaimReply {
  ok: true;
  num_tokens: number;
  prefix: [number, number];
  last_token: number;
}

export type SideChannelReply = ClaimReply | { ok: true } | { ok: false; error: string };

/** Reads one line of a reader; `undefined` for what is no request. */
export function parseRequest(line: string): SideChannelRequest | undefined {
  const value = parseObject(line);
  if (!value) return undefined;
  const { op, engine_id, request_id } = value;
  if (op !== 'claim' && op !== 'done' && op !== 'heartbeat') return undefined;
  if (typeof engine_id !== 'string' || typeof request_id !== 'string') return undefined;
  return { op, engine_id, request_id };
}

/** Reads one line of a holder; `undefined` for what is no reply. */
export function parseReply(line: string): SideChannelReply | undefined {
  const value = parseObject(line);
  if (!value) return undefined;
  if (value['ok'] === false && typeof value['error'] === 'string') return { ok: false, error: value['error'] };
  if (value['ok'] !== true) return undefined;
  const { num_tokens, prefix, last_token } = value;
  if (num_tokens === undefined) return { ok: true };
  if (typeof num_tokens !== 'number' || typeof last_token !== 'number' || !isPair(prefix)) return undefined;
  return { ok: true, num_tokens, prefix, last_token };
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((lane) => Number.isInteger(lane));
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Collects bytes of a socket and gives out whole lines. */
export class LineReader {
  #rest = '';

  /** Whole lines in `chunk`, without their ends. Throws a RangeError once a line grows past `MAX_LINE_BYTES`. */
  push(chunk: string): string[] {
    const parts = (this.#rest + chunk).split('\n');
    this.#rest = parts.pop()!;
    if (this.#rest.length > MAX_LINE_BYTES) throw new RangeError('line too long');
    return parts;
  }
}
