/** What a response parser reports; times are those of the socket read that completed the piece. */
export interface ResponseSink {
  onHead(status: number, headers: ReadonlyMap<string, string>, atMs: number): void;
  onBody(bytes: Buffer, atMs: number): void;
  /** `reusable`: the connection may carry another request. */
  onEnd(atMs: number, reusable: boolean): void;
}

/** The bytes are no HTTP/1.1 response. */
export class MalformedResponse extends Error {}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE_BYTES = 1024;

type State =
  | { in: 'head' }
  | { in: 'fixed'; left: number }
  | { in: 'chunk-size' }
  | { in: 'chunk-data'; left: number }
  | { in: 'chunk-end' }
  | { in: 'trailers' }
  | { in: 'until-close' }
  | { in: 'done' };

/**
 * Reads one HTTP/1.1 response (RFC 9112) from socket reads of any size: status line, headers, then a body that is chunked, counted
 * or ends with the connection. Interim 1xx responses are skipped. Throws `MalformedResponse`.
 */
export class ResponseParser {
  readonly #sink: ResponseSink;
  #state: State = { in: 'head' };
  #rest: Buffer | undefined;
  #keepAlive = true;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** One socket read. */
  push(read: Buffer, atMs: number): void {
    let bytes = this.#rest ? Buffer.concat([this.#rest, read]) : read;
    this.#rest = undefined;
    while (bytes.length > 0 && this.#state.in !== 'done') {
      const used = this.#step(this.#state, bytes, atMs);
      if (used === 0) {
        // The piece continues in the next read; the read's own memory is not kept alive for a few bytes.
        this.#rest = Buffer.from(bytes);
        return;
      }
      bytes = bytes.subarray(used);
    }
    if (bytes.length > 0) throw new MalformedResponse('bytes after the end of the response');
  }

  /** The server closed its side. Returns false when the response was not complete. */
  close(atMs: number): boolean {
    if (this.#state.in === 'done') return true;
    if (this.#state.in !== 'until-close') return false;
    this.#state = { in: 'done' };
    this.#sink.onEnd(atMs, false);
    return true;
  }

  /** Consumes one piece; 0 when more bytes are needed. */
  #step(state: State, bytes: Buffer, atMs: number): number {
    switch (state.in) {
      case 'head':
        return this.#head(bytes, atMs);
      case 'chunk-size':
        return this.#chunkSize(bytes);
      case 'chunk-end':
        return this.#chunkEnd(bytes);
      case 'trailers':
        return this.#trailers(bytes, atMs);
      case 'until-close':
        this.#sink.onBody(bytes, atMs);
        return bytes.length;
      case 'fixed':
      case 'chunk-data': {
        const part = bytes.length > state.left ? bytes.subarray(0, state.left) : bytes;
        state.left -= part.length;
        this.#sink.onBody(part, atMs);
        if (state.left === 0 && state.in === 'chunk-data') this.#state = { in: 'chunk-end' };
        else if (state.left === 0) this.#finish(atMs);
        return part.length;
      }
      case 'done':
        return 0;
    }
  }

  #head(bytes: Buffer, atMs: number): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) {
      if (bytes.length > MAX_HEAD_BYTES) throw new MalformedResponse('response head over 64 KiB');
      // Garbage is refused at once instead of waiting for a blank line that never comes.
      if (!'HTTP/1.'.startsWith(bytes.toString('latin1', 0, 7)))
        throw new MalformedResponse('not an HTTP/1.1 response');
      return 0;
    }
    const lines = bytes.toString('latin1', 0, end).split('\r\n');
    const status = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(lines[0] ?? '');
    if (!status) throw new MalformedResponse('not an HTTP/1.1 response');
    const code = Number(status[2]);
    if (code < 200) return end + 4;
    const headers = readHeaders(lines);
    const connection = headers.get('connection')?.toLowerCase() ?? '';
    this.#keepAlive = status[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive');
    this.#sink.onHead(code, headers, atMs);
    this.#state = bodyState(code, headers);
    if (this.#state.in === 'until-close') this.#keepAlive = false;
    if (this.#state.in === 'fixed' && this.#state.left === 0) this.#finish(atMs);
    return end + 4;
  }

  #chunkSize(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n');
    if (end === -1) {
      if (bytes.length > MAX_CHUNK_LINE_BYTES) throw new MalformedResponse('chunk size line too long');
      return 0;
    }
    const match = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(bytes.toString('latin1', 0, end));
    if (!match?.[1]) throw new MalformedResponse('bad chunk size');
    const size = Number.parseInt(match[1], 16);
    this.#state = size === 0 ? { in: 'trailers' } : { in: 'chunk-data', left: size };
    return end + 2;
  }

  #chunkEnd(bytes: Buffer): number {
    if (bytes.length < 2) return 0;
    if (bytes[0] !== 0x0d || bytes[1] !== 0x0a) throw new MalformedResponse('chunk without its line end');
    this.#state = { in: 'chunk-size' };
    return 2;
  }

  #trailers(bytes: Buffer, atMs: number): number {
    const end = bytes.indexOf('\r\n');
    if (end === -1) {
      if (bytes.length > MAX_HEAD_BYTES) throw new MalformedResponse('trailers over 64 KiB');
      return 0;
    }
    if (end === 0) this.#finish(atMs);
    return end + 2;
  }

  #finish(atMs: number): void {
    this.#state = { in: 'done' };
    this.#sink.onEnd(atMs, this.#keepAlive);
  }
}

function readHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new MalformedResponse('bad header line');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

function bodyState(code: number, headers: ReadonlyMap<string, string>): State {
  if (code === 204 || code === 304) return { in: 'fixed', left: 0 };
  if (headers.get('transfer-encoding')?.toLowerCase().endsWith('chunked')) return { in: 'chunk-size' };
  const length = headers.get('content-length');
  if (length === undefined) return { in: 'until-close' };
  if (!/^\d{1,15}$/.test(length)) throw new MalformedResponse('bad content-length');
  return { in: 'fixed', left: Number(length) };
}
