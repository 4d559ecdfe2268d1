import type { TokenLengths } from './request-record.ts';
import type { Target } from './target.ts';

export const ENDPOINT_TYPES = ['chat', 'completions'] as const;
export type EndpointType = (typeof ENDPOINT_TYPES)[number];

const PATH: Record<EndpointType, string> = { chat: '/v1/chat/completions', completions: '/v1/completions' };

/** One request as the bytes that go on the wire, made before its send time so that building it delays nothing. */
export interface PreparedRequest {
  index: number;
  requestId: string;
  asked: TokenLengths;
  bytes: Buffer;
}

export interface RequestShape {
  target: Target;
  endpointType: EndpointType;
  model: string;
  streaming: boolean;
  /** Ask for exactly the output length: `min_tokens` and `ignore_eos`, which OpenAI's own service does not know. */
  exactOutput: boolean;
  /** Further top-level fields; they win over ours. */
  extraInputs: Readonly<Record<string, unknown>>;
  headers: Readonly<Record<string, string>>;
}

/** `prompt` must need no escaping in JSON (see prompt-text.ts). */
export function prepareRequest(
  shape: RequestShape,
  request: { index: number; requestId: string; asked: TokenLengths; prompt: string },
): PreparedRequest {
  const { isl, osl } = request.asked;
  const fields = {
    model: shape.model,
    max_tokens: osl,
    ...(shape.exactOutput ? { min_tokens: osl, ignore_eos: true } : {}),
    stream: shape.streaming,
    ...(shape.streaming ? { stream_options: { include_usage: true } } : {}),
    ...shape.extraInputs,
  };
  const rest = JSON.stringify(fields).slice(1);
  const input =
    shape.endpointType === 'chat'
      ? `"messages":[{"role":"user","content":"${request.prompt}"}]`
      : `"prompt":"${request.prompt}"`;
  const body = `{${input},${rest}`;
  const { host, port, basePath } = shape.target;
  const head = [
    `POST ${basePath}${PATH[shape.endpointType]} HTTP/1.1`,
    `Host: ${host.includes(':') ? `[${host}]` : host}:${port}`,
    'Content-Type: application/json',
    `Accept: ${shape.streaming ? 'text/event-stream' : 'application/json'}`,
    `X-Request-Id: ${request.requestId}`,
    ...Object.entries(shape.headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].join('\r\n');
  return {
    index: request.index,
    requestId: request.requestId,
    asked: { isl, osl },
    bytes: Buffer.from(`${head}\r\n\r\n${body}`),
  };
}
