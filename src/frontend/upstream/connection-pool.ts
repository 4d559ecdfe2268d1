import type { BodyReader } from './body-reader.ts';
import { type Origin, type ResponseHandler, UpstreamConnection } from './connection.ts';
import type { ResponseHead } from './response-head.ts';
import { UpstreamFailure } from './upstream-failure.ts';

export interface PoolOptions {
  /** Idle connections are closed after this. Below 5 s, when vLLM closes them. */
  idleTimeoutMs: number;
  connectTimeoutMs: number;
  /** Longest silence of a worker in the middle of a request; 0 for no limit. */
  silenceTimeoutMs: number;
  signal: AbortSignal;
}

export const DEFAULT_IDLE_TIMEOUT_MS = 3_500;
export const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

export interface UpstreamRequest {
  origin: Origin;
  /** Request line and headers up to and including the blank line. */
  head: string;
  body?: Buffer | undefined;
  /**
   * Send again on a new connection when a reused one dies before any byte came back: it was most likely closed while the
   * request was under way. Off where sending twice is worse than failing.
   */
  resendIfStale: boolean;
}

const SWEEP_MS = 500;

/** Keep-alive connections to all workers, and the clock that ends the idle and the silent ones. */
export class ConnectionPool {
  nowMs = performance.now();
  readonly #options: PoolOptions;
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #open = new Set<UpstreamConnection>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#destroyAll(), { once: true });
  }

  /** Starts a request; the exchange ends it early. */
  request(request: UpstreamRequest, handler: ResponseHandler): Exchange {
    return new Exchange(this, request, handler);
  }

  /** An idle connection, the one used last, or a new one. */
  checkout(origin: Origin, fresh: boolean): UpstreamConnection {
    const idle = fresh ? undefined : this.#idle.get(origin.authority)?.pop();
    if (idle) {
      idle.ref();
      return idle;
    }
    this.#startClock();
    const connection = new UpstreamConnection(origin, this);
    this.#open.add(connection);
    return connection;
  }

  released(connection: UpstreamConnection): void {
    // An idle connection does not keep the process alive.
    connection.unref();
    const idle = this.#idle.get(connection.origin.authority);
    if (idle) idle.push(connection);
    else this.#idle.set(connection.origin.authority, [connection]);
  }

  closed(connection: UpstreamConnection): void {
    this.#open.delete(connection);
    const idle = this.#idle.get(connection.origin.authority);
    const index = idle?.indexOf(connection) ?? -1;
    if (idle && index >= 0) idle.splice(index, 1);
    if (idle?.length === 0) this.#idle.delete(connection.origin.authority);
    if (this.#open.size === 0) this.#stopClock();
  }

  #startClock(): void {
    this.nowMs = performance.now();
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #stopClock(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    this.nowMs = performance.now();
    const { idleTimeoutMs, connectTimeoutMs, silenceTimeoutMs } = this.#options;
    for (const connection of this.#open) {
      const stillMs = this.nowMs - connection.activeAtMs;
      if (!connection.busy) {
        if (stillMs > idleTimeoutMs - SWEEP_MS) connection.destroy();
      } else if (!connection.connected) {
        if (stillMs > connectTimeoutMs) connection.fail('refused', `no connection within ${connectTimeoutMs} ms`);
      } else if (silenceTimeoutMs > 0 && !connection.paused && stillMs > silenceTimeoutMs) {
        connection.fail('timeout', `nothing from the worker for ${Math.round(silenceTimeoutMs / 1_000)} s`);
      }
    }
  }

  #destroyAll(): void {
    this.#stopClock();
    for (const connection of this.#open) connection.fail('reset', 'the frontend is stopping');
  }
}

/** One request under way, on one connection or, after a stale one, on a second. */
export class Exchange implements ResponseHandler {
  readonly #pool: ConnectionPool;
  readonly #request: UpstreamRequest;
  #connection: UpstreamConnection;
  /** Gone once the response has ended: the connection may then already carry another one. */
  #handler: ResponseHandler | undefined;

  constructor(pool: ConnectionPool, request: UpstreamRequest, handler: ResponseHandler) {
    this.#pool = pool;
    this.#request = request;
    this.#handler = handler;
    this.#connection = pool.checkout(request.origin, false);
    this.#connection.send(request.head, request.body, this);
  }

  /** Closes the connection, which tells the worker to stop. The handler hears `failed` unless the response had ended. */
  abort(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#handler = undefined;
    this.#connection.destroy();
    handler.failed(new UpstreamFailure('aborted', 'the request was given up'));
  }

  pause(): void {
    if (this.#handler) this.#connection.pause();
  }

  resume(): void {
    if (this.#handler) this.#connection.resume();
  }

  head(head: ResponseHead): BodyReader {
    return this.#handler!.head(head);
  }

  end(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.end();
  }

  failed(failure: UpstreamFailure): void {
    const stale = failure.reason === 'reset' && this.#connection.served > 0 && !this.#connection.gotBytes;
    if (stale && this.#request.resendIfStale && this.#handler) {
      this.#connection = this.#pool.checkout(this.#request.origin, true);
      this.#connection.send(this.#request.head, this.#request.body, this);
      return;
    }
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.failed(failure);
  }
}
