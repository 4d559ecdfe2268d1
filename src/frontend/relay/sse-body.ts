import { endsEvent, lastEventEnd } from '../../openai/sse-events.ts';
import type { BodyReader } from '../upstream/body-reader.ts';
import { readChunk } from '../upstream/chunk-framing.ts';
import { type BodyFraming, ProtocolError } from '../upstream/response-head.ts';

/** Longest event accepted. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** Takes whole events as they come off the wire. */
export interface EventSink {
  /** Whole events inside whole HTTP chunks, each chunk ending with an event: fit to be forwarded as they are. */
  framed(bytes: Buffer, chunks: number): void;
  /** Whole events without framing. At the end of a stream there may be a rest without its blank line. */
  plain(bytes: Buffer): void;
}

/**
 * Reads an event stream off a connection and hands on everything that is whole after each read in one piece, so that a
 * client never gets half an event and one read becomes one write.
 */
export class SseBody implements BodyReader {
  readonly #framing: BodyFraming;
  readonly #sink: EventSink;
  /** Incomplete end: raw bytes of a chunked body, payload of another. */
  #held: Buffer | undefined;
  /** Payload that ended inside an event. */
  #ragged: Buffer | undefined;
  #taken = 0;

  constructor(framing: BodyFraming, sink: EventSink) {
    this.#framing = framing;
    this.#sink = sink;
  }

  read(bytes: Buffer, start: number, end: number): number {
    if (this.#framing.kind === 'chunked') return this.#readChunked(bytes, start, end);
    if (this.#framing.kind === 'none') return start;
    const length = this.#framing.kind === 'length' ? this.#framing.length - this.#taken : Number.POSITIVE_INFINITY;
    const take = Math.min(end - start, length);
    this.#taken += take;
    this.#plain(Buffer.from(bytes.subarray(start, start + take)));
    if (take < length) return -1;
    this.#flush();
    return start + take;
  }

  closed(): boolean {
    if (this.#framing.kind !== 'close') return false;
    this.#flush();
    return true;
  }

  /** Walks the chunks in what is held plus the new bytes; a run of chunks that each end with an event goes on as it is. */
  #readChunked(bytes: Buffer, start: number, end: number): number {
    const before = this.#held?.length ?? 0;
    const all = joinCopy(this.#held, bytes, start, end);
    this.#held = undefined;
    let runStart = 0;
    let at = 0;
    let chunks = 0;
    const endRun = (): void => {
      if (chunks > 0) this.#sink.framed(all.subarray(runStart, at), chunks);
      chunks = 0;
    };
    for (;;) {
      const chunk = readChunk(all, at, all.length);
      if (chunk === undefined) break;
      const { payloadStart, payloadEnd, end: chunkEnd } = chunk;
      if (payloadStart === payloadEnd) {
        endRun();
        this.#flush();
        return start + chunkEnd - before;
      }
      // The shortest event is `a` and a blank line; with less, the look back would reach the framing.
      if (this.#ragged === undefined && payloadEnd - payloadStart >= 3 && endsEvent(all, payloadEnd)) {
        chunks += 1;
        at = chunkEnd;
        continue;
      }
      endRun();
      this.#plain(all.subarray(payloadStart, payloadEnd));
      at = chunkEnd;
      runStart = at;
    }
    endRun();
    if (at < all.length) this.#held = Buffer.from(all.subarray(at));
    if (all.length - at > MAX_EVENT_BYTES) throw new ProtocolError('event too long');
    return -1;
  }

  /** Payload that does not come in whole events. */
  #plain(payload: Buffer): void {
    const all = this.#ragged === undefined ? payload : Buffer.concat([this.#ragged, payload]);
    const whole = lastEventEnd(all);
    if (whole > 0) this.#sink.plain(all.subarray(0, whole));
    this.#ragged = whole === all.length ? undefined : all.subarray(whole);
    if (all.length - whole > MAX_EVENT_BYTES) throw new ProtocolError('event too long');
  }

  #flush(): void {
    const rest = this.#ragged;
    this.#ragged = undefined;
    if (rest !== undefined) this.#sink.plain(rest);
  }
}

/** Copies are cut from slabs: an allocation per read would cost more than the copy. */
const SLAB_BYTES = 262_144;
let slab = Buffer.alloc(0);
let slabUsed = 0;

/** A copy: the connection's buffer is used again for the next read. */
function joinCopy(held: Buffer | undefined, bytes: Buffer, start: number, end: number): Buffer {
  const heldBytes = held?.length ?? 0;
  const size = heldBytes + end - start;
  const copy = take(size);
  held?.copy(copy, 0);
  bytes.copy(copy, heldBytes, start, end);
  return copy;
}

function take(size: number): Buffer {
  if (size > SLAB_BYTES / 2) return Buffer.allocUnsafeSlow(size);
  if (slabUsed + size > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    slabUsed = 0;
  }
  slabUsed += size;
  return slab.subarray(slabUsed - size, slabUsed);
}
