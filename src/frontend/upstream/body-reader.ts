import { readChunk } from './chunk-framing.ts';
import { type BodyFraming, ProtocolError } from './response-head.ts';

/**
 * Takes the body of one response off a connection. The connection's read buffer is used again right after each call:
 * bytes to keep must be copied.
 */
export interface BodyReader {
  /** Takes `bytes[start, end)`. Returns the offset after the body when it ended there, -1 when more must come. */
  read(bytes: Buffer, start: number, end: number): number;
  /** The worker closed the connection. Returns whether the body may end that way. */
  closed(): boolean;
}

/** A body that is taken and dropped, or kept whole. */
export class WholeBody implements BodyReader {
  readonly #framing: BodyFraming;
  readonly #limitBytes: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  /** Incomplete chunk, framing included. */
  #held: Buffer | undefined;

  constructor(framing: BodyFraming, limitBytes: number) {
    this.#framing = framing;
    this.#limitBytes = limitBytes;
  }

  /** The payload so far. */
  get payload(): Buffer {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
  }

  read(bytes: Buffer, start: number, end: number): number {
    switch (this.#framing.kind) {
      case 'none':
        return start;
      case 'length': {
        const take = Math.min(end - start, this.#framing.length - this.#bytes);
        this.#keep(bytes, start, start + take);
        return this.#bytes === this.#framing.length ? start + take : -1;
      }
      case 'close':
        this.#keep(bytes, start, end);
        return -1;
      case 'chunked':
        return this.#readChunks(bytes, start, end);
    }
  }

  closed(): boolean {
    return this.#framing.kind === 'close';
  }

  #readChunks(bytes: Buffer, start: number, end: number): number {
    const before = this.#held?.length ?? 0;
    const all = this.#held ? Buffer.concat([this.#held, bytes.subarray(start, end)]) : bytes.subarray(start, end);
    this.#held = undefined;
    for (let at = 0; ; ) {
      const chunk = readChunk(all, at, all.length);
      if (chunk === undefined) {
        if (at < all.length) this.#held = Buffer.from(all.subarray(at));
        if (all.length - at > this.#limitBytes) throw new ProtocolError('response body too large');
        return -1;
      }
      if (chunk.payloadEnd === chunk.payloadStart) return start + chunk.end - before;
      this.#keep(all, chunk.payloadStart, chunk.payloadEnd);
      at = chunk.end;
    }
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > this.#limitBytes) throw new ProtocolError('response body too large');
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
  }
}
