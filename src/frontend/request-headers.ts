import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What a worker gets of the client's headers; everything else ends here, worker pins and internal headers above all. */
const FORWARDED = ['authorization', 'traceparent', 'tracestate', 'baggage', 'x-session-id'] as const;
/** Also forwarded for trusted callers. */
const FORWARDED_TRUSTED = ['x-data-parallel-rank', 'x-vllm-priority'] as const;

/** Workers a trusted caller asks for, by process name. */
export interface WorkerPins {
  worker: string | undefined;
  prefill: string | undefined;
}

export const NO_PINS: WorkerPins = { worker: undefined, prefill: undefined };

/** The client's request id when it is harmless in logs and headers, else a new one. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID();
}

export function workerPinsOf(headers: IncomingHttpHeaders): WorkerPins {
  return { worker: one(headers['x-dynamo-worker-instance-id']), prefill: one(headers['x-dynamo-prefill-instance-id']) };
}

/** The header lines that go to every worker of this request, each ended by CRLF. */
export function forwardedHeaders(headers: IncomingHttpHeaders, requestId: string, trusted: boolean): string {
  let lines = `content-type: application/json\r\nx-request-id: ${requestId}\r\n`;
  for (const name of trusted ? [...FORWARDED, ...FORWARDED_TRUSTED] : FORWARDED) {
    const value = one(headers[name]);
    if (value !== undefined) lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
