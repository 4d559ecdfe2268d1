import { readChunk } from '../upstream/chunk-framing.ts';

const CRLF = Buffer.from('\r\n');

/** One HTTP chunk. */
export function frame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${payload.length.toString(16)}\r\n`, 'latin1'), payload, CRLF]);
}

/** Payload of whole HTTP chunks. */
export function dechunk(framed: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < framed.length; ) {
    const chunk = readChunk(framed, at, framed.length);
    if (chunk === undefined) break;
    parts.push(framed.subarray(chunk.payloadStart, chunk.payloadEnd));
    at = chunk.end;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Offset of the chunk that contains `position`, looking from the chunk that starts at `from`. */
export function chunkStartBefore(framed: Buffer, from: number, position: number): number {
  for (let at = from; ; ) {
    const chunk = readChunk(framed, at, framed.length);
    if (chunk === undefined || chunk.end > position) return at;
    at = chunk.end;
  }
}
