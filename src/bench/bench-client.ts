import { type Connection, type ConnectionFailure, ConnectionPool, type ConnectionUser } from './connection.ts';
import { ResponseParser } from './http-response-parser.ts';
import type { PreparedRequest } from './prepared-request.ts';
import { ReadQueue } from './read-queue.ts';
import type { RequestError, RequestRecord } from './request-record.ts';
import { ResponseMeter } from './response-meter.ts';
import type { Target } from './target.ts';

export interface BenchClientOptions {
  target: Target;
  timeoutMs: number;
  /** Without token counts from the server a response is an error. */
  needsUsage: boolean;
  /** Monotonic clock in milliseconds. */
  now?: () => number;
  defer?: (run: () => void) => void;
}

/** A measuring HTTP client on plain sockets: one request per connection at a time, connections kept alive. */
export class BenchClient {
  readonly #options: BenchClientOptions;
  readonly #now: () => number;
  readonly #pool: ConnectionPool;
  readonly #queue: ReadQueue;

  constructor(options: BenchClientOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#pool = new ConnectionPool(options.target, this.#now);
    this.#queue = new ReadQueue(options.defer);
  }

  /** Open connections. */
  get connections(): number {
    return this.#pool.size;
  }

  /**
   * Sends one request and resolves with its record, whatever happens to it; never rejects.
   * `scheduledMs` is on the client's clock. When `signal` aborts, the record says `cancelled`.
   */
  send(request: PreparedRequest, scheduledMs: number | null, signal: AbortSignal): Promise<RequestRecord> {
    return new Promise((resolve) => {
      new Exchange(this.#pool, this.#queue, this.#now, this.#options, request, scheduledMs, signal, resolve).start();
    });
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.#pool.destroy();
  }
}

/** One request on its way: sent → reading → settled. Settles exactly once. */
class Exchange implements ConnectionUser {
  readonly #pool: ConnectionPool;
  readonly #queue: ReadQueue;
  readonly #now: () => number;
  readonly #options: BenchClientOptions;
  readonly #request: PreparedRequest;
  readonly #scheduledMs: number | null;
  readonly #signal: AbortSignal;
  readonly #resolve: (record: RequestRecord) => void;
  readonly #meter = new ResponseMeter();
  readonly #parser = new ResponseParser(this.#meter);
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startMs = 0;
  #receivedBytes = 0;
  #reused = false;
  #resent = false;
  #settled = false;

  constructor(
    pool: ConnectionPool,
    queue: ReadQueue,
    now: () => number,
    options: BenchClientOptions,
    request: PreparedRequest,
    scheduledMs: number | null,
    signal: AbortSignal,
    resolve: (record: RequestRecord) => void,
  ) {
    this.#pool = pool;
    this.#queue = queue;
    this.#now = now;
    this.#options = options;
    this.#request = request;
    this.#scheduledMs = scheduledMs;
    this.#signal = signal;
    this.#resolve = resolve;
  }

  start(): void {
    this.#startMs = this.#now();
    if (this.#signal.aborted) {
      this.#onAbort();
      return;
    }
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#timer = setTimeout(
      () => this.#fail('timeout', `no end within ${this.#options.timeoutMs} ms`),
      this.#options.timeoutMs,
    );
    this.#write(false);
  }

  onRead(bytes: Buffer, atMs: number): void {
    this.#receivedBytes += bytes.length;
    this.#queue.add(() => this.#parse(bytes, atMs));
  }

  onClose(reason: ConnectionFailure, atMs: number): void {
    // Through the queue too: what was read before is parsed first.
    this.#queue.add(() => this.#closed(reason, atMs));
  }

  #write(fresh: boolean): void {
    this.#connection = this.#pool.acquire(this, { fresh });
    this.#reused = this.#connection.served > 0;
    this.#connection.socket.write(this.#request.bytes);
  }

  #parse(bytes: Buffer, atMs: number): void {
    if (this.#settled) return;
    try {
      this.#parser.push(bytes, atMs);
    } catch (error) {
      this.#fail('malformed_response', error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#meter.complete) this.#finish(this.#meter.verdict(this.#options.needsUsage), this.#meter.endMs);
  }

  #closed(reason: ConnectionFailure, atMs: number): void {
    if (this.#settled) return;
    this.#connection = undefined;
    if (this.#parser.close(atMs)) {
      this.#finish(this.#meter.verdict(this.#options.needsUsage), atMs);
    } else if (this.#reused && this.#receivedBytes === 0) {
      // The server closed an idle connection while we were writing to it: not the request's fault. The clock runs on.
      this.#resent = true;
      this.#write(true);
    } else {
      this.#finish({ code: this.#meter.status, type: reason.type, message: reason.message }, atMs);
    }
  }

  #fail(type: string, message: string): void {
    this.#finish({ code: this.#meter.status, type, message }, this.#now());
  }

  readonly #onAbort = (): void => this.#finish(null, this.#now(), true);

  #finish(error: RequestError | null, endMs: number, cancelled = false): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    const connection = this.#connection;
    if (connection) {
      if (this.#meter.complete && this.#meter.reusable) {
        this.#pool.release(connection);
      } else {
        connection.user = null;
        connection.socket.destroy();
      }
    }
    this.#resolve({
      index: this.#request.index,
      requestId: this.#request.requestId,
      scheduledMs: this.#scheduledMs,
      startMs: this.#startMs,
      endMs,
      asked: this.#request.asked,
      outcome: cancelled ? 'cancelled' : error ? 'error' : 'ok',
      error,
      receivedBytes: this.#receivedBytes,
      connectionReused: this.#reused,
      resent: this.#resent,
      ...this.#meter.result(),
    });
  }
}
