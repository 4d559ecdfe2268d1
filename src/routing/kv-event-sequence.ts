/**
 * What to do with the next message of a worker's KV events. Its numbers count from 0 in every process, and nothing else tells one
 * process from the next: a message with a lower number and a later time than the last one is of a process that began anew; one with
 * a lower number and no later time was replayed already.
 *
 *   waiting ──0──▶ in order ──expected──▶ in order ──lower, not later──▶ in order (repeated)
 *      └──higher──▶ behind ◀──higher──────────┤        replay from what is missing
 *   in order ──lower, but later──▶ restarted: forget all, then as waiting
 */
export type SequenceVerdict =
  | { kind: 'in-order' }
  /** Messages from `from` up to the one before this are missing. */
  | { kind: 'behind'; from: number }
  /** The worker began anew; unless this is message 0, those before it are missing. */
  | { kind: 'restarted'; missing: boolean }
  | { kind: 'repeated' };

/** Follows the messages of one publisher. Pure: whoever owns it acts on the verdicts. */
export class KvEventSequence {
  #next = 0;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** Number of the message that should come next. */
  get next(): number {
    return this.#next;
  }

  /** Judges a message, which counts as taken then: what is missing before it is for the caller to fetch. */
  take(sequence: number, at: number): SequenceVerdict {
    const expected = this.#next;
    if (sequence < expected && at <= this.#lastAt) return { kind: 'repeated' };
    this.#next = sequence + 1;
    this.#lastAt = at;
    if (sequence === expected) return { kind: 'in-order' };
    return sequence > expected ? { kind: 'behind', from: expected } : { kind: 'restarted', missing: sequence > 0 };
  }
}

const SEQUENCE_BYTES = 8;
const END = Buffer.alloc(SEQUENCE_BYTES, 0xff);

/** One message: `[topic, sequence, payload]` of the publisher. Undefined for what is none. */
export function readPublished(frames: readonly Buffer[]): { sequence: number; payload: Buffer } | undefined {
  const [sequence, payload] = frames.slice(-2);
  if (frames.length < 3 || sequence?.length !== SEQUENCE_BYTES || payload === undefined) return undefined;
  return { sequence: Number(sequence.readBigUInt64BE()), payload };
}

/**
 * One answer to a replay request: `["", topic, sequence, payload]`, or without the topic before July 2026 and in SGLang. The end is
 * sequence −1 with an empty payload. Undefined for what is neither.
 */
export function readReplayed(frames: readonly Buffer[]): { sequence: number; payload: Buffer } | 'end' | undefined {
  const [sequence, payload] = frames.slice(-2);
  if (frames.length < 3 || sequence?.length !== SEQUENCE_BYTES || payload === undefined) return undefined;
  if (payload.length === 0 && sequence.equals(END)) return 'end';
  return { sequence: Number(sequence.readBigUInt64BE()), payload };
}

/** What to send to ask for everything from `sequence` on. */
export function replayRequest(sequence: number): [Buffer, Buffer] {
  const from = Buffer.alloc(SEQUENCE_BYTES);
  from.writeBigUInt64BE(BigInt(sequence));
  return [Buffer.alloc(0), from];
}
