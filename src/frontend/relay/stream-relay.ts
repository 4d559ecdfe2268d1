import { judgeChunk } from '../../openai/finish-reason.ts';
import { dataEvent, isDone, lastEventEnd, type SseEvent, splitEvents } from '../../openai/sse-events.ts';
import { readUsage, type Usage, withCachedTokens } from '../../openai/usage.ts';
import { UpstreamFailure } from '../upstream/upstream-failure.ts';
import { chunkStartBefore, dechunk } from './dechunk.ts';
import type { EventSink } from './sse-body.ts';

/**
 * Forwards one event stream:
 *
 *   waiting ──first event with content──▶ flowing ──an end or an error is sighted──▶ closing ──▶ finished
 *
 * waiting: nothing has gone to the client; events are parsed and kept. An error here can be retried elsewhere.
 * flowing: bytes go through as they are, searched for an end or an error only.
 * closing: the few events from there on are parsed: usage is read, patched or dropped, errors are caught.
 */
type RelayState = 'waiting' | 'flowing' | 'closing' | 'finished';

export interface RelayOutput {
  /** The first content is here: the head goes out. */
  open(): void;
  writeFramed(bytes: Buffer): void;
  writePlain(payload: Buffer): void;
}

export interface RelayOptions {
  /** The client wants the usage event; otherwise it is read and dropped. */
  forwardUsage: boolean;
  /** Cached tokens to report in place of the worker's; null leaves its own. */
  cachedTokens: number | null;
}

const ERROR_EVENT = [Buffer.from('data: {"error"'), Buffer.from('data:{"error"')];
const FINISHED = [Buffer.from('"finish_reason":"'), Buffer.from('"finish_reason": "')];

export class StreamRelay implements EventSink {
  usage: Usage | undefined;
  /** HTTP chunks with content, about one a token: the count when the worker reports no usage. */
  chunks = 0;
  readonly #output: RelayOutput;
  readonly #options: RelayOptions;
  #state: RelayState = 'waiting';
  #opened = false;
  #held: Buffer[] = [];
  #sawFinish = false;
  #sawDone = false;
  /** What to search for, fitted to how this worker writes JSON. */
  #errorMark = ERROR_EVENT;
  #finishMark = FINISHED;

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
    if (this.#state !== 'flowing') {
      this.#parsed(dechunk(bytes));
      return;
    }
    const mark = this.#sight(bytes);
    if (mark < 0) {
      this.#output.writeFramed(bytes);
      return;
    }
    const start = chunkStartBefore(bytes, mark);
    if (start > 0) this.#output.writeFramed(bytes.subarray(0, start));
    this.#state = 'closing';
    this.#closing(dechunk(bytes.subarray(start)));
  }

  plain(bytes: Buffer): void {
    this.chunks += 1;
    if (this.#state === 'flowing') this.#flowing(bytes);
    else this.#parsed(bytes);
  }

  /** The worker's stream is over. Throws `UpstreamFailure` when it was not complete. */
  finish(): void {
    if (this.#state === 'waiting') throw new UpstreamFailure('failed', 'the worker sent an empty stream');
    if (!this.#sawFinish && !this.#sawDone) throw new UpstreamFailure('failed', 'the worker ended the stream early');
    this.#state = 'finished';
  }

  #parsed(bytes: Buffer): void {
    if (this.#state === 'waiting') this.#waiting(bytes);
    else this.#closing(bytes);
  }

  #waiting(bytes: Buffer): void {
    let rest = 0;
    for (const event of splitEvents(bytes)) {
      rest += event.raw.length;
      const data = event.data;
      this.#held.push(event.raw);
      if (data === undefined) continue;
      const verdict = isDone(data) ? undefined : judge(data);
      if (verdict?.failure !== undefined) throw new UpstreamFailure('failed', `the worker reported ${verdict.failure}`);
      if (verdict !== undefined && !verdict.hasContent && !verdict.usageOnly) continue;
      this.#fitMarks(event);
      // An event that ends the stream, or that is not content at all, is treated by the rules of the end.
      const isEnd = verdict === undefined || verdict.finished || verdict.usageOnly;
      if (isEnd) this.#held.pop();
      this.#state = isEnd ? 'closing' : 'flowing';
      const held = Buffer.concat(this.#held);
      this.#held = [];
      const after = bytes.subarray(isEnd ? rest - event.raw.length : rest);
      if (isEnd) this.#closing(after, held);
      else this.#flowing(after, held);
      return;
    }
  }

  #flowing(bytes: Buffer, before: Buffer = EMPTY): void {
    const mark = this.#sight(bytes);
    if (mark < 0) {
      this.#write(before.length > 0 ? Buffer.concat([before, bytes]) : bytes);
      return;
    }
    const start = lastEventEnd(bytes.subarray(0, mark));
    this.#state = 'closing';
    this.#closing(bytes.subarray(start), Buffer.concat([before, bytes.subarray(0, start)]));
  }

  #closing(bytes: Buffer, before: Buffer = EMPTY): void {
    const out: Buffer[] = [before];
    let failure: string | undefined;
    for (const event of splitEvents(bytes)) {
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
    // Nothing has gone out: the request can still be served elsewhere.
    if (failure === undefined || this.#opened) this.#write(Buffer.concat(out));
    if (failure !== undefined) throw new UpstreamFailure('failed', `the worker reported ${failure}`);
  }

  #write(payload: Buffer): void {
    if (!this.#opened) this.#output.open();
    this.#opened = true;
    this.#output.writePlain(payload);
  }

  #withUsage(event: SseEvent, data: Buffer, usageOnly: boolean): Buffer {
    const usage = readUsage(data);
    if (usage === undefined) return event.raw;
    const { cachedTokens, forwardUsage } = this.#options;
    this.usage = cachedTokens === null ? usage : { ...usage, cachedTokens };
    if (usageOnly && !forwardUsage) return EMPTY;
    if (cachedTokens === null) return event.raw;
    return dataEvent(withCachedTokens(data, cachedTokens));
  }

  /** Offset of the first mark of an end or an error, -1 when there is none. */
  #sight(bytes: Buffer): number {
    let first = -1;
    for (const marks of [this.#errorMark, this.#finishMark]) {
      for (const mark of marks) {
        const at = bytes.indexOf(mark);
        if (at >= 0 && (first < 0 || at < first)) first = at;
      }
    }
    return first;
  }

  /** Most workers write all their JSON the same way, so one search of each kind is enough. */
  #fitMarks(event: SseEvent): void {
    const text = event.raw;
    if (text.includes('data: ')) this.#errorMark = [ERROR_EVENT[0]!];
    if (text.includes('"finish_reason":')) {
      this.#finishMark = [text.includes('"finish_reason": ') ? FINISHED[1]! : FINISHED[0]!];
    }
  }
}

const EMPTY = Buffer.alloc(0);

function judge(data: Buffer): ReturnType<typeof judgeChunk> {
  try {
    return judgeChunk(JSON.parse(data.toString('utf8')));
  } catch {
    throw new UpstreamFailure('protocol', 'the worker sent an event that is not JSON');
  }
}
