/** How the body of a response ends (RFC 9112 section 6.3). */
export type BodyFraming =
  | { kind: 'none' }
  | { kind: 'length'; length: number }
  | { kind: 'chunked' }
  /** Until the worker closes the connection. */
  | { kind: 'close' };

export interface ResponseHead {
  status: number;
  /** Names in lower case; a repeated one is joined by a comma. */
  headers: ReadonlyMap<string, string>;
  framing: BodyFraming;
  /** The connection may carry another request afterwards. */
  keepAlive: boolean;
}

/** Longest head accepted, in bytes. */
export const MAX_HEAD_BYTES = 65_536;

/** A worker broke HTTP: the connection is of no further use. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Parses a head, from the status line to before the blank line. Throws `ProtocolError`. */
export function parseResponseHead(text: string): ResponseHead {
  const lines = text.split('\r\n');
  const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(lines[0] ?? '');
  if (!statusLine) throw new ProtocolError('not an HTTP/1 status line');
  const status = Number(statusLine[2]);
  const headers = new Map<string, string>();
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index]!;
    const colon = line.indexOf(':');
    if (colon <= 0 || line.charCodeAt(colon - 1) <= 0x20) throw new ProtocolError('malformed header line');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = headers.get(name);
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  const framing = framingOf(status, headers);
  const connection = headers.get('connection')?.toLowerCase() ?? '';
  const persistent = statusLine[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive');
  return { status, headers, framing, keepAlive: persistent && framing.kind !== 'close' };
}

function framingOf(status: number, headers: ReadonlyMap<string, string>): BodyFraming {
  if (status < 200 || status === 204 || status === 304) return { kind: 'none' };
  const coding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new ProtocolError('unknown transfer coding');
    if (length !== undefined) throw new ProtocolError('both a transfer coding and a content length');
    return { kind: 'chunked' };
  }
  if (length === undefined) return { kind: 'close' };
  if (!/^\d{1,15}$/.test(length)) throw new ProtocolError('malformed content length');
  return length === '0' ? { kind: 'none' } : { kind: 'length', length: Number(length) };
}
