import { rmSync } from 'node:fs';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import {
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
} from 'vscode-jsonrpc/node';
import { DynamoError, messageOf, type SerializedError } from '../base/errors.ts';
import { WholeMessageWriter } from './whole-message-writer.ts';

/**
 * JSON-RPC over a stream: how client, controller and agents speak, on Unix sockets here and over SSH streams elsewhere.
 * A peer may leave at any moment: requests then reject with `CONNECT_FAILED`, notifications are dropped.
 */

/** Name → parameters and result of each request a peer answers. */
export type Methods = Record<string, { params: unknown; result: unknown }>;

/** Turns of the event loop that answers of a peer that has left are given. */
const LAST_TURNS = 500;

/** Name → parameters of each notification a peer sends. */
export type Notifications = Record<string, unknown>;

export class RpcPeer<
  Own extends Methods,
  Remote extends Methods,
  Sent extends Notifications = Notifications,
  Received extends Notifications = Notifications,
> {
  /** Resolves when the stream has ended. Never rejects. */
  readonly closed: Promise<void>;
  readonly #connection: MessageConnection;
  readonly #socket: Duplex;
  #open = true;
  /** Requests without an answer. */
  #waiting = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    if (socket instanceof net.Socket) socket.setNoDelay(true); // 44 ms a call without it
    this.#connection = createMessageConnection(new StreamMessageReader(socket), new WholeMessageWriter(socket));
    this.closed = new Promise((resolve) => {
      const end = () => {
        if (!this.#open) return;
        this.#open = false;
        // What the other side said last may not have had its turn yet: one message a turn is taken.
        let turns = LAST_TURNS;
        const settle = () => {
          turns -= 1;
          if (this.#waiting > 0 && turns > 0) return void setImmediate(settle);
          this.#connection.dispose();
          resolve();
        };
        settle();
      };
      socket.once('close', end);
      this.#connection.onClose(end);
      // A broken pipe or garbage ends the connection; whoever waits learns it through `closed` or a rejected request.
      this.#connection.onError(() => socket.destroy());
      socket.on('error', () => socket.destroy());
    });
  }

  /** Call once all handlers are in place. */
  listen(): this {
    this.#connection.listen();
    return this;
  }

  /** Answers a method. A thrown `DynamoError` reaches the caller as such. */
  handle<K extends keyof Own & string>(
    method: K,
    handler: (params: Own[K]['params']) => Promise<Own[K]['result']> | Own[K]['result'],
  ): void {
    this.#connection.onRequest(method, async (params: unknown): Promise<unknown> => {
      try {
        return await handler(params as Own[K]['params']);
      } catch (error) {
        throw toResponseError(error);
      }
    });
  }

  on<K extends keyof Received & string>(name: K, handler: (params: Received[K]) => void): void {
    this.#connection.onNotification(name, handler);
  }

  /** Rejects with the remote's `DynamoError`, or `CONNECT_FAILED` when it has left or `timeoutMs` passed without an answer. */
  async request<K extends keyof Remote & string>(
    method: K,
    params: Remote[K]['params'],
    options: { timeoutMs?: number } = {},
  ): Promise<Remote[K]['result']> {
    if (!this.#open) throw new DynamoError('CONNECT_FAILED', `the other side has closed the connection (${method})`);
    const left = this.closed.then(() => {
      throw new DynamoError('CONNECT_FAILED', `the other side closed the connection during ${method}`);
    });
    left.catch(() => {});
    const answer = this.#connection.sendRequest<Remote[K]['result']>(method, params);
    this.#waiting += 1;
    answer.catch(() => {});
    const timeout = new AbortController();
    try {
      const races: Promise<Remote[K]['result']>[] = [answer, left];
      if (options.timeoutMs !== undefined) races.push(rejectAfter(options.timeoutMs, method, timeout.signal));
      return await Promise.race(races);
    } catch (error) {
      // What could not be written tells that the other side has gone, before the stream does.
      if (error instanceof ResponseError && error.code === ErrorCodes.MessageWriteError) {
        this.#socket.destroy();
        await this.closed;
      }
      throw fromResponseError(error, method);
    } finally {
      this.#waiting -= 1;
      timeout.abort();
    }
  }

  /** Fire and forget: a peer that has left is not an error here. */
  notify<K extends keyof Sent & string>(name: K, params: Sent[K]): void {
    if (!this.#open) return;
    this.#connection.sendNotification(name, params).catch(() => {});
  }

  get open(): boolean {
    return this.#open;
  }

  /** What was answered before is sent first: an answer waits for its turn, and a busy machine may take its time. */
  close(): void {
    if (this.#socket.destroyed) return;
    const end = () => this.#socket.end(() => this.#socket.destroy());
    if (!this.#open) end();
    // Messages are written in order; those that begin with `$/` mean nothing to the other side.
    else this.#connection.sendNotification('$/closing').then(end, end);
  }
}

/** To read what has come while this process stood still: timers that are due run before anything is read. */
const READ_MS = 100;

function rejectAfter(ms: number, method: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const late = () => reject(new DynamoError('CONNECT_FAILED', `no answer to ${method} within ${ms} ms`));
    let timer = setTimeout(() => {
      timer = setTimeout(late, READ_MS);
    }, ms);
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  });
}

function toResponseError(error: unknown): ResponseError<SerializedError | { stack: string }> {
  if (error instanceof DynamoError) return new ResponseError(1, error.message, error.toJSON());
  return new ResponseError(2, messageOf(error), { stack: error instanceof Error ? (error.stack ?? '') : '' });
}

function fromResponseError(error: unknown, method: string): unknown {
  if (error instanceof DynamoError) return error;
  if (error instanceof ResponseError && error.code === 1) return DynamoError.from(error.data as SerializedError);
  if (error instanceof ResponseError && error.code === 2)
    return new Error(`${method}: ${error.message}\n${(error.data as { stack: string }).stack}`);
  return new DynamoError('CONNECT_FAILED', `${method}: ${messageOf(error)}`, { cause: error });
}

/** Listens on a Unix socket only this user can open. A stale file is removed: call it only while holding the owner's lock. */
export async function listenSocket(file: string, onSocket: (socket: net.Socket) => void): Promise<net.Server> {
  rmSync(file, { force: true });
  const server = net.createServer(onSocket);
  const umask = process.umask(0o077);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(file, resolve);
    });
  } finally {
    process.umask(umask);
  }
  return server;
}
