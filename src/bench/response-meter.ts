import { type Completion, readCompletion } from './completion-reader.ts';
import type { ResponseSink } from './http-response-parser.ts';
import type { RequestError, RequestRecord, ServedBy, Usage } from './request-record.ts';
import { SseTimingParser } from './sse-timing-parser.ts';

const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Finish reasons with which an engine says that it did not finish, although the status was 200. */
const FAILED_FINISH = new Set(['error', 'abort']);

/** What the response of one request says: times of its content, token counts, and whether it counts as answered. */
export class ResponseMeter implements ResponseSink {
  readonly contentMs: number[] = [];
  firstOutputMs: number | null = null;
  usage: Usage | null = null;
  finishReason: string | null = null;
  status: number | null = null;
  servedBy: ServedBy = { prefill: null, decode: null };
  complete = false;
  reusable = false;
  endMs = 0;
  #error: RequestError | null = null;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #sse: SseTimingParser | undefined;

  onHead(status: number, headers: ReadonlyMap<string, string>, _atMs: number): void {
    this.status = status;
    const worker = headers.get('x-dynamo-worker') ?? null;
    this.servedBy = {
      prefill: headers.get('x-dynamo-prefill-worker') ?? null,
      decode: headers.get('x-dynamo-decode-worker') ?? worker,
    };
    if (status === 200 && headers.get('content-type')?.toLowerCase().startsWith('text/event-stream'))
      this.#sse = new SseTimingParser((data, atMs) => this.#event(data, atMs));
  }

  onBody(bytes: Buffer, atMs: number): void {
    if (this.#sse) {
      this.#sse.push(bytes, atMs);
      return;
    }
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes <= MAX_BODY_BYTES) this.#body.push(bytes);
  }

  onEnd(atMs: number, reusable: boolean): void {
    this.complete = true;
    this.reusable = reusable;
    this.endMs = atMs;
    if (!this.#sse) this.#wholeBody(atMs);
    this.#body = [];
  }

  /** Why the response does not count as answered; null when it does. */
  verdict(needsUsage: boolean): RequestError | null {
    if (this.#error) return this.#error;
    const fail = (type: string, message: string): RequestError => ({ code: this.status, type, message });
    if (!this.complete || this.finishReason === null)
      return fail('truncated', 'the response ended without a finish reason');
    if (FAILED_FINISH.has(this.finishReason)) return fail('failed_finish', `finish reason ${this.finishReason}`);
    if (needsUsage && !this.usage)
      return fail(
        'missing_usage',
        'no token counts in the response; --no-use-server-token-count counts chunks instead',
      );
    if (this.contentMs.length === 0 || this.usage?.completionTokens === 0)
      return fail('zero_tokens', 'no output token');
    return null;
  }

  result(): Pick<RequestRecord, 'contentMs' | 'firstOutputMs' | 'usage' | 'finishReason' | 'servedBy'> {
    const { contentMs, firstOutputMs, usage, finishReason, servedBy } = this;
    return { contentMs, firstOutputMs, usage, finishReason, servedBy };
  }

  #event(data: string, atMs: number): void {
    if (data === '[DONE]') return;
    const completion = this.#read(data);
    if (completion) this.#take(completion, atMs);
  }

  #wholeBody(atMs: number): void {
    const text = Buffer.concat(this.#body).toString('utf8');
    if (this.status === 200) {
      const completion = this.#read(text);
      if (completion) this.#take(completion, atMs);
      return;
    }
    let error: Completion['error'] = null;
    try {
      error = readCompletion(text).error;
    } catch {
      // A proxy's HTML page: the status says enough.
    }
    this.#error = {
      code: this.status,
      type: error?.type ?? 'http_status',
      message: error?.message ?? `HTTP ${this.status}`,
    };
  }

  #read(text: string): Completion | null {
    try {
      return readCompletion(text);
    } catch {
      this.#error ??= { code: this.status, type: 'invalid_json', message: 'the response is not valid JSON' };
      return null;
    }
  }

  #take(completion: Completion, atMs: number): void {
    if (completion.error) this.#error ??= { code: this.status, ...completion.error };
    if (completion.content !== 'none') this.contentMs.push(atMs);
    if (completion.content === 'output') this.firstOutputMs ??= atMs;
    this.finishReason = completion.finishReason ?? this.finishReason;
    this.usage = completion.usage ?? this.usage;
  }
}
