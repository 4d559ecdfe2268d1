import { judgeChunk } from '../../openai/finish-reason.ts';
import { dataEvent, isDone, type SseEvent, splitEvents } from '../../openai/sse-events.ts';
import { readUsage, type Usage, withCachedTokens } from '../../openai/usage.ts';
import { readChunk } from '../upstream/chunk-framing.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { chunkStartBefore, dechunk, frame } from './http-chunks.ts';
import type { EventSink } from './sse-body.ts';

/**
 * Forwards one event stream:
 *
 *   waiting ──first content──▶ flowing ──an end or an error is sighted──▶ closing ──▶ finished
 *      └──────────────────an end──────────────────────────────────────────▲
 *
 * waiting: nothing has gone to the client; events are parsed and kept. An error here can be retried elsewhere.
 * flowing: bytes go through as they are, searched for an end or an error only.
 * closing: the few events from there on are parsed: usage is read, patched or dropped, errors are caught.
 */
type RelayState = 'waiting' | 'flowing' | 'closing' | 'finished';

/** The client's side. Gets whole HTTP chunks that hold whole events. */
export interface RelayOutput {
  /** The head goes out: called once, right before the first `write`. */
  open(): void;
  write(framed: Buffer): void;
  /** An end or an error has been sighted: what is written from here on belongs to it. */
  ending?(): void;
}

export interface RelayOptions {
  /** The client wants the usage event; otherwise it is read and dropped. */
  forwardUsage: boolean;
  /** Cached tokens to report in place of the worker's; null leaves its own. */
  cachedTokens: number | null;
}

const ERROR_EVENT = [Buffer.from('data: {"error"'), Buffer.from('data:{"error"')];
const FINISHED = [Buffer.from('"finish_reason":"'), Buffer.from('"finish_reason": "')];
const EMPTY = Buffer.alloc(0);
/** Below this, joining two pieces costs less than a second write. */
const COPY_LIMIT_BYTES = 8_192;

export class StreamRelay implements EventSink {
  usage: Usage | undefined;
  /** HTTP chunks, about one a token: the count when the worker reports no usage. */
  chunks = 0;
  readonly #output: RelayOutput;
  readonly #options: RelayOptions;
  #state: RelayState = 'waiting';
  #opened = false;
  /** Chunks kept while waiting. */
  #held: Buffer = EMPTY;
  #sawFinish = false;
  #sawDone = false;
  /** What to search for, fitted to how this worker writes JSON. */
  #errorMarks = ERROR_EVENT;
  #finishMarks = FINISHED;

  constructor(output: RelayOutput, options: RelayOptions) {
    this.#output = output;
    this.#options = options;
  }

  /** Something has gone to the client. */
  get opened(): boolean {
    return this.#opened;
  }

  framed(bytes: Buffer, chunks: number): void {
    this.chunks += chunks;
    if (this.#state === 'flowing') this.#flow(bytes, 0);
    else if (this.#state === 'waiting') this.#wait(bytes);
    else this.#close(dechunk(bytes), EMPTY);
  }

  plain(bytes: Buffer): void {
    this.framed(frame(bytes), 1);
  }

  /** The worker's stream is over. Throws `UpstreamFailure` when it was not complete. */
  finish(): void {
    if (this.#state === 'waiting') throw new UpstreamFailure('failed', 'the worker sent an empty stream');
    if (!this.#sawFinish && !this.#sawDone) throw new UpstreamFailure('failed', 'the worker ended the stream early');
    this.#state = 'finished';
  }

  /** Looks at chunk after chunk until one has content or an end. */
  #wait(bytes: Buffer): void {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    for (let at = this.#held.length; at < all.length; ) {
      const chunk = readChunk(all, at, all.length);
      if (chunk === undefined) break;
      const next = chunk.end;
      const found = this.#examine(all.subarray(chunk.payloadStart, chunk.payloadEnd));
      if (found !== 'nothing') {
        this.#held = EMPTY;
        if (found === 'content') {
          this.#state = 'flowing';
          // The rest of the chunk in which the content is has not been looked at.
          this.#flow(all, at);
        } else this.#beginClose(dechunk(all.subarray(at)), all.subarray(0, at));
        return;
      }
      at = next;
    }
    this.#held = all;
  }

  /** What the first meaningful event of a chunk is. Throws when it is an error. */
  #examine(payload: Buffer): 'nothing' | 'content' | 'end' {
    for (const { raw, data } of splitEvents(payload)) {
      if (data === undefined) continue;
      if (isDone(data)) return 'end';
      const verdict = judge(data);
      if (verdict.failure !== undefined) throw failed(verdict.failure);
      if (verdict.finished || verdict.usageOnly) return 'end';
      if (!verdict.hasContent) continue;
      this.#fitMarks(raw);
      return 'content';
    }
    return 'nothing';
  }

  /** Hands everything on up to the chunk with an end or an error. The search begins at `from`, the start of a chunk. */
  #flow(bytes: Buffer, from: number): void {
    const mark = this.#sight(bytes, from);
    if (mark < 0) {
      this.#write(bytes);
      return;
    }
    const start = chunkStartBefore(bytes, from, mark);
    this.#beginClose(dechunk(bytes.subarray(start)), bytes.subarray(0, start));
  }

  #beginClose(payload: Buffer, before: Buffer): void {
    this.#state = 'closing';
    this.#output.ending?.();
    this.#close(payload, before);
  }

  #close(payload: Buffer, before: Buffer): void {
    const out: Buffer[] = [];
    let failure: string | undefined;
    for (const event of splitEvents(payload)) {
      const data = event.data;
      if (data === undefined) out.push(event.raw);
      else if (isDone(data)) {
        this.#sawDone = true;
        out.push(event.raw);
      } else {
        const verdict = judge(data);
        failure = verdict.failure;
        if (failure !== undefined) break;
        this.#sawFinish ||= verdict.finished;
        out.push(this.#withUsage(event, data, verdict.usageOnly));
      }
    }
    // While nothing has gone out, the request can still be served elsewhere.
    if (failure === undefined || this.#opened) {
      const rest = Buffer.concat(out);
      if (rest.length === 0) this.#write(before);
      else if (before.length > COPY_LIMIT_BYTES) {
        this.#write(before);
        this.#write(frame(rest));
      } else this.#write(Buffer.concat([before, frame(rest)]));
    }
    if (failure !== undefined) throw failed(failure);
  }

  #write(framed: Buffer): void {
    if (framed.length === 0) return;
    if (!this.#opened) this.#output.open();
    this.#opened = true;
    this.#output.write(framed);
  }

  #withUsage(event: SseEvent, data: Buffer, usageOnly: boolean): Buffer {
    const usage = readUsage(data);
    if (usage === undefined) return event.raw;
    const { cachedTokens, forwardUsage } = this.#options;
    this.usage = cachedTokens === null ? usage : { ...usage, cachedTokens };
    if (usageOnly && !forwardUsage) return EMPTY;
    return cachedTokens === null ? event.raw : dataEvent(withCachedTokens(data, cachedTokens));
  }

  /** Offset of the first mark of an end or an error, -1 when there is none. */
  #sight(bytes: Buffer, from: number): number {
    let first = -1;
    for (const marks of [this.#errorMarks, this.#finishMarks]) {
      for (const mark of marks) {
        const at = bytes.indexOf(mark, from);
        if (at >= 0 && (first < 0 || at < first)) first = at;
      }
    }
    return first;
  }

  /** Most workers write all their JSON the same way, so one search of each kind is enough. */
  #fitMarks(event: Buffer): void {
    if (event.includes('data: ')) this.#errorMarks = [ERROR_EVENT[0]!];
    if (event.includes('"finish_reason":')) {
      this.#finishMarks = [event.includes('"finish_reason": ') ? FINISHED[1]! : FINISHED[0]!];
    }
  }
}

function failed(what: string): UpstreamFailure {
  return new UpstreamFailure('failed', `the worker reported ${what}`);
}

function judge(data: Buffer): ReturnType<typeof judgeChunk> {
  try {
    return judgeChunk(JSON.parse(data.toString('utf8')));
  } catch {
    throw new UpstreamFailure('protocol', 'the worker sent an event that is not JSON');
  }
}
