import { readChunk } from '../upstream/chunk-framing.ts';

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

/** Offset of the chunk that contains `position`. */
export function chunkStartBefore(framed: Buffer, position: number): number {
  for (let at = 0; ; ) {
    const chunk = readChunk(framed, at, framed.length);
    if (chunk === undefined || chunk.end > position) return at;
    at = chunk.end;
  }
}
