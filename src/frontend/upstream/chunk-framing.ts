import { ProtocolError } from './response-head.ts';

/** Longest size line with extensions, and longest trailer section. */
const MAX_LINE_BYTES = 256;
const MAX_TRAILER_BYTES = 16_384;
const MAX_CHUNK_BYTES = 0x4000_0000;

const CR = 0x0d;
const LF = 0x0a;

/** Where one chunk of a chunked body lies (RFC 9112 section 7.1). */
export interface ChunkSpan {
  payloadStart: number;
  payloadEnd: number;
  /** Offset after the chunk; for the last chunk after the trailer section. */
  end: number;
}

const span: ChunkSpan = { payloadStart: 0, payloadEnd: 0, end: 0 };

/**
 * Finds the chunk that starts at `at`. The last chunk of a body has an empty payload.
 * Returns one object that is reused by the next call, or undefined when `bytes[at, end)` does not hold it whole.
 * Throws `ProtocolError` on bad framing.
 */
export function readChunk(bytes: Buffer, at: number, end: number): ChunkSpan | undefined {
  let size = 0;
  let next = at;
  for (; ; next += 1) {
    if (next >= end) {
      if (next - at > MAX_LINE_BYTES) throw new ProtocolError('chunk size line too long');
      return undefined;
    }
    const digit = hexDigit(bytes[next]!);
    if (digit < 0) break;
    size = size * 16 + digit;
    if (size > MAX_CHUNK_BYTES) throw new ProtocolError('chunk too large');
  }
  if (next === at) throw new ProtocolError('malformed chunk size');
  if (bytes[next] !== CR) {
    next = skipExtension(bytes, next, end);
    if (next < 0) return undefined;
  }
  if (next + 1 >= end) return undefined;
  if (bytes[next + 1] !== LF) throw new ProtocolError('malformed chunk size line');
  span.payloadStart = next + 2;
  span.payloadEnd = span.payloadStart + size;
  if (size === 0) {
    span.end = trailerEnd(bytes, span.payloadStart, end);
    return span.end < 0 ? undefined : span;
  }
  span.end = span.payloadEnd + 2;
  if (span.end > end) return undefined;
  if (bytes[span.payloadEnd] !== CR || bytes[span.payloadEnd + 1] !== LF) {
    throw new ProtocolError('chunk longer than its size');
  }
  return span;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Offset of the CR that ends a chunk extension, -1 when it is not there yet. */
function skipExtension(bytes: Buffer, at: number, end: number): number {
  const first = bytes[at];
  if (first !== 0x3b && first !== 0x20 && first !== 0x09) throw new ProtocolError('malformed chunk size');
  for (let next = at; next < end; next += 1) {
    if (bytes[next] === CR) return next;
    if (next - at > MAX_LINE_BYTES) throw new ProtocolError('chunk size line too long');
  }
  return -1;
}

/** Offset after the blank line that ends the trailers which start at `at`, -1 when it is not there yet. */
function trailerEnd(bytes: Buffer, at: number, end: number): number {
  for (let line = at; ; ) {
    const newline = bytes.indexOf(LF, line);
    if (newline < 0 || newline >= end) {
      if (end - at > MAX_TRAILER_BYTES) throw new ProtocolError('trailers too long');
      return -1;
    }
    if (bytes[newline - 1] !== CR) throw new ProtocolError('malformed trailer');
    if (newline === line + 1) return newline + 1;
    line = newline + 1;
  }
}
