import type { ServerResponse } from 'node:http';
import { dechunk, frame } from './http-chunks.ts';

const LAST_CHUNK = '0\r\n\r\n';

/** Whether the response uses HTTP/1.1 chunks. */
function isChunked(response: ServerResponse): boolean {
  return response.req.httpVersionMajor === 1 && response.req.httpVersionMinor === 1;
}

/** Ends a response that `ClientStream` has begun with one more event. */
export function endStreamWith(response: ServerResponse, event: Buffer): void {
  if (!isChunked(response)) response.end(event);
  else response.end(Buffer.concat([frame(event), Buffer.from(LAST_CHUNK)]));
}

/**
 * The client's side of a streamed response. HTTP/1.1 clients get the worker's own chunk framing (Node's is switched off once
 * the head is out), so that forwarding costs one write per read; HTTP/1.0 clients get the payload.
 */
export class ClientStream {
  readonly #response: ServerResponse;
  readonly #chunked: boolean;
  /** Called with true when the client is slower than the worker, with false when it has caught up. */
  readonly #onPressure: (full: boolean) => void;
  #waiting = false;

  constructor(response: ServerResponse, onPressure: (full: boolean) => void) {
    this.#response = response;
    this.#chunked = isChunked(response);
    this.#onPressure = onPressure;
  }

  /** Sends the head. From here on bytes go to the client as they are. */
  open(headers: Record<string, string>): void {
    const head: Record<string, string> = { ...headers, 'content-type': 'text/event-stream; charset=utf-8' };
    head['cache-control'] = 'no-cache';
    if (this.#chunked) head['transfer-encoding'] = 'chunked';
    this.#response.writeHead(200, head);
    this.#response.chunkedEncoding = false;
  }

  /** Writes whole HTTP chunks. */
  write(framed: Buffer): void {
    if (this.#response.write(this.#chunked ? framed : dechunk(framed)) || this.#waiting) return;
    this.#waiting = true;
    this.#onPressure(true);
    this.#response.once('drain', () => {
      this.#waiting = false;
      this.#onPressure(false);
    });
  }

  end(): void {
    if (this.#chunked) this.#response.end(LAST_CHUNK, 'latin1');
    else this.#response.end();
  }
}
