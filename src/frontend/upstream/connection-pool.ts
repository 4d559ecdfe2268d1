import type { BodyReader } from './body-reader.ts';
import { type Origin, type ResponseHandler, UpstreamConnection } from './connection.ts';
import type { ResponseHead } from './response-head.ts';
import { type SilenceEvents, SilenceWatch, TICK_MS, type Waiting } from './silence-watch.ts';
import { UpstreamFailure } from './upstream-failure.ts';

export interface PoolOptions {
  /** Idle connections are closed after this. Below 5 s, when vLLM closes them. */
  idleTimeoutMs: number;
  connectTimeoutMs: number;
  /** Longest silence of a worker in the middle of a request; 0 for no limit. */
  silenceTimeoutMs: number;
  /** Told of machines that do not answer; what can move is moved then. */
  silence?: PoolSilence;
  signal: AbortSignal;
}

export interface PoolSilence extends SilenceEvents {
  /** Whether another worker, whose machine answers, could take what waits for this one. */
  hasOther(origin: Origin): boolean;
  /** A machine that was silent for so long is not waited for any more, not even by streams that have begun. */
  readonly giveUpMs: number;
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
  /** Another address that this request cannot go on without: where its KV cache lies. */
  partner?: Origin | undefined;
  /** It may start over on another worker when the machine of this one, or of its partner, falls silent. */
  isMovable?: boolean;
}

const SWEEP_MS = TICK_MS;
/** A sweep so much later than the one before: this process stood still, and may have answers that it has not read. */
const STOOD_STILL_MS = 5 * SWEEP_MS;

/** Keep-alive connections to all workers, and the clock that ends the idle and the silent ones. */
export class ConnectionPool {
  nowMs = performance.now();
  readonly #options: PoolOptions;
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #open = new Set<UpstreamConnection>();
  readonly #silence: SilenceWatch | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#silence = options.silence && new SilenceWatch(options.silence);
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
    this.#forgetIdle(connection);
    if (this.#open.size === 0) this.#stopClock();
  }

  /** Closes what is idle: on a connection whose machine was silent, the next packet may come late. */
  dropIdle(origin: Origin): void {
    for (const connection of [...(this.#idle.get(origin.authority) ?? [])]) this.#retire(connection);
  }

  /** Nobody may take it out of the pool between its end and the event that tells of it. */
  #retire(connection: UpstreamConnection): void {
    this.#forgetIdle(connection);
    connection.destroy();
  }

  #forgetIdle(connection: UpstreamConnection): void {
    const idle = this.#idle.get(connection.origin.authority);
    const index = idle?.indexOf(connection) ?? -1;
    if (idle && index >= 0) idle.splice(index, 1);
    if (idle?.length === 0) this.#idle.delete(connection.origin.authority);
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
    const sinceLastMs = performance.now() - this.nowMs;
    this.nowMs += sinceLastMs;
    // Its own time is taken off what others are given. What is idle is not spared: they may have closed it meanwhile.
    if (sinceLastMs > STOOD_STILL_MS)
      for (const connection of this.#open) if (connection.busy) connection.activeAtMs += sinceLastMs;
    const { idleTimeoutMs, connectTimeoutMs, silenceTimeoutMs } = this.#options;
    for (const connection of this.#open) {
      const stillMs = this.nowMs - connection.activeAtMs;
      if (!connection.busy) {
        if (stillMs > idleTimeoutMs - SWEEP_MS) this.#retire(connection);
      } else if (!connection.connected) {
        if (stillMs > connectTimeoutMs) connection.fail('refused', `no connection within ${connectTimeoutMs} ms`);
      } else if (silenceTimeoutMs > 0 && !connection.paused && stillMs > silenceTimeoutMs) {
        connection.fail('timeout', `nothing from the worker for ${Math.round(silenceTimeoutMs / 1_000)} s`);
      }
    }
    if (this.#silence) {
      this.#silence.tick(this.#waiting(), this.nowMs);
      this.#leaveSilent(this.#silence, this.#options.silence!);
    }
  }

  *#waiting(): Generator<Waiting> {
    for (const connection of this.#open) {
      if (connection.paused || !(connection.handler instanceof Exchange)) continue;
      const { origin, activeAtMs, gotBytes, handler } = connection;
      // Once something goes to the client, the partner has done its part.
      const partner = handler.isForwarding ? undefined : handler.partner;
      yield { origin, partner, activeAtMs, gotBytes };
    }
  }

  /** Requests that have nothing for their client yet start over where somebody answers; the others wait a while for the machine. */
  #leaveSilent(silence: SilenceWatch, { hasOther, giveUpMs }: PoolSilence): void {
    if (!silence.foundAny) return;
    for (const connection of this.#open) {
      const { handler, origin } = connection;
      if (!(handler instanceof Exchange)) continue;
      if (silence.silentForMs(origin) > giveUpMs) {
        connection.fail('silent', `nothing from ${origin.authority} for ${Math.round(giveUpMs / 1_000)} s`);
        continue;
      }
      if (!handler.isMovable || handler.isForwarding) continue;
      const { partner } = handler;
      if (silence.isSilent(origin) && hasOther(origin))
        connection.fail('silent', `${origin.authority} has fallen silent`);
      else if (partner && silence.isSilent(partner) && hasOther(partner))
        connection.fail('failed', `${partner.authority}, where its KV cache lies, has fallen silent`);
    }
  }

  #destroyAll(): void {
    this.#stopClock();
    this.#silence?.close();
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
  /** Something of the answer is on its way to the client: it cannot start over. */
  isForwarding = false;

  constructor(pool: ConnectionPool, request: UpstreamRequest, handler: ResponseHandler) {
    this.#pool = pool;
    this.#request = request;
    this.#handler = handler;
    this.#connection = pool.checkout(request.origin, false);
    this.#connection.send(request.head, request.body, this);
  }

  get isMovable(): boolean {
    return this.#request.isMovable === true;
  }

  get partner(): Origin | undefined {
    return this.#request.partner;
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
