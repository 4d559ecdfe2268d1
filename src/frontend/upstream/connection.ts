import { connect, type Socket } from 'node:net';
import { messageOf } from '../../base/errors.ts';
import type { BodyReader } from './body-reader.ts';
import { MAX_HEAD_BYTES, ProtocolError, parseResponseHead, type ResponseHead } from './response-head.ts';
import { type FailureReason, UpstreamFailure } from './upstream-failure.ts';

/** Address of a worker. */
export interface Origin {
  /** `host:port`, the value of the Host header and the key of the pool. */
  authority: string;
  hostname: string;
  port: number;
}

/** Takes one response. `end` or `failed` is called exactly once, unless the connection is destroyed first. */
export interface ResponseHandler {
  /** The head has arrived; returns the reader that takes the body. */
  head(head: ResponseHead): BodyReader;
  end(): void;
  failed(failure: UpstreamFailure): void;
}

/** What a connection tells its pool. */
export interface ConnectionOwner {
  /** The response is complete and the connection can carry the next request. */
  released(connection: UpstreamConnection): void;
  closed(connection: UpstreamConnection): void;
  /** Coarse monotonic milliseconds. */
  readonly nowMs: number;
}

/**
 * All connections read into this one buffer: a read and its callback run to completion before the next read starts,
 * and readers copy what they keep.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536);
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * One keep-alive HTTP/1.1 connection to a worker: idle → waiting for the head → reading the body → idle, one request at a
 * time; closed from anywhere. Lean, for talking to our own engines: no pipelining, no 100-continue, no redirects.
 */
export class UpstreamConnection {
  readonly origin: Origin;
  /** Requests it has carried before this one. */
  served = 0;
  /** When it last moved bytes, went idle or was opened. */
  activeAtMs: number;
  connected = false;
  paused = false;
  /** Any byte of the current response has arrived. */
  gotBytes = false;

  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #handler: ResponseHandler | undefined;
  #reader: BodyReader | undefined;
  #head: ResponseHead | undefined;
  /** Start of a head that is not complete. */
  #heldHead: Buffer | undefined;
  #lastError: unknown;
  #closed = false;

  constructor(origin: Origin, owner: ConnectionOwner) {
    this.origin = origin;
    this.#owner = owner;
    this.activeAtMs = owner.nowMs;
    this.#socket = connect({
      host: origin.hostname,
      port: origin.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (bytes) => this.#read(bytes) },
    });
    this.#socket.on('connect', () => {
      this.connected = true;
      this.activeAtMs = owner.nowMs;
    });
    this.#socket.on('error', (error) => {
      this.#lastError = error;
    });
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('close', () => this.#onClose());
  }

  get busy(): boolean {
    return this.#handler !== undefined;
  }

  /** Whose response is awaited or read. */
  get handler(): ResponseHandler | undefined {
    return this.#handler;
  }

  /** Sends a request. The connection must be idle. */
  send(head: string, body: Buffer | undefined, handler: ResponseHandler): void {
    this.#handler = handler;
    this.gotBytes = false;
    this.activeAtMs = this.#owner.nowMs;
    if (body === undefined) this.#socket.write(head, 'latin1');
    else if (body.length < 16_384) this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
    else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    }
  }

  /** Stops reading, for a client that is slower than the worker. */
  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.activeAtMs = this.#owner.nowMs;
    this.#socket.resume();
  }

  /** Closes without telling the handler. */
  destroy(): void {
    this.#handler = undefined;
    this.#socket.destroy();
  }

  /** Closes and tells the handler. */
  fail(reason: FailureReason, message: string): void {
    const handler = this.#handler;
    this.destroy();
    handler?.failed(new UpstreamFailure(reason, message));
  }

  /** An idle connection does not keep the process alive. */
  unref(): void {
    this.#socket.unref();
  }

  ref(): void {
    this.#socket.ref();
  }

  #read(length: number): boolean {
    this.activeAtMs = this.#owner.nowMs;
    if (this.#handler === undefined) {
      // Nobody asked: a worker that talks on an idle connection is out of step.
      this.#socket.destroy();
      return false;
    }
    this.gotBytes = true;
    try {
      this.#consume(readBuffer, 0, length);
    } catch (error) {
      const handler = this.#handler;
      this.destroy();
      handler?.failed(error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', messageOf(error)));
    }
    return !this.paused;
  }

  #consume(bytes: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#reader === undefined) {
      at = this.#takeHead(bytes, start, end);
      if (at < 0) return;
    }
    const reader = this.#reader;
    // The handler may have given up while it was handed the head.
    if (reader === undefined || this.#handler === undefined) return;
    const bodyEnd = reader.read(bytes, at, end);
    if (this.#handler === undefined || bodyEnd < 0) return;
    if (bodyEnd !== end) throw new ProtocolError('bytes after the end of the response');
    this.#complete();
  }

  /** Returns where the body starts, -1 while the head is incomplete. */
  #takeHead(bytes: Buffer, start: number, end: number): number {
    const before = this.#heldHead?.length ?? 0;
    const all = this.#heldHead
      ? Buffer.concat([this.#heldHead, bytes.subarray(start, end)])
      : bytes.subarray(start, end);
    this.#heldHead = undefined;
    for (let from = 0; ; ) {
      const blank = all.indexOf(HEAD_END, from);
      if (blank < 0) {
        if (all.length - from > MAX_HEAD_BYTES) throw new ProtocolError('response head too long');
        this.#heldHead = Buffer.from(all.subarray(from));
        return -1;
      }
      const head = parseResponseHead(all.toString('latin1', from, blank));
      from = blank + HEAD_END.length;
      // Interim responses such as 100 and 103 come before the real one.
      if (head.status < 200) continue;
      this.#head = head;
      this.#reader = this.#handler?.head(head);
      return start + from - before;
    }
  }

  #complete(): void {
    const handler = this.#handler!;
    const keep = this.#head!.keepAlive && !this.#closed;
    this.#handler = undefined;
    this.#reader = undefined;
    this.#head = undefined;
    this.served += 1;
    this.activeAtMs = this.#owner.nowMs;
    if (this.paused) this.resume();
    if (keep) this.#owner.released(this);
    else this.#socket.destroy();
    handler.end();
  }

  /** The worker will send no more. Its side of a pooled connection ends this way. */
  #onEnd(): void {
    if (this.#handler && this.#reader?.closed()) this.#complete();
    else this.#socket.destroy();
  }

  #onClose(): void {
    this.#closed = true;
    this.#owner.closed(this);
    const handler = this.#handler;
    this.#handler = undefined;
    if (handler === undefined) return;
    const cause = this.#lastError === undefined ? 'closed by the worker' : messageOf(this.#lastError);
    handler.failed(
      new UpstreamFailure(this.connected ? 'reset' : 'refused', `connection to ${this.origin.authority}: ${cause}`),
    );
  }
}
