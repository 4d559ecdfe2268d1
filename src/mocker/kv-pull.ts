import net from 'node:net';
import { messageOf } from '../base/errors.ts';
import type { RemotePrefill } from './kv-transfer-params.ts';
import {
  type ClaimReply,
  LineReader,
  parseReply,
  type SideChannelReply,
  type SideChannelRequest,
} from './side-channel-protocol.ts';

/** As vLLM waits for a handshake. */
const REPLY_TIMEOUT_MS = 5_000;

/** One reader's connection to the worker that holds its blocks. */
export class KvPull implements Disposable {
  readonly #remote: RemotePrefill;
  readonly #socket: net.Socket;
  readonly #lines = new LineReader();
  #waiting: { resolve(reply: SideChannelReply): void; reject(error: Error): void } | undefined;
  #failure: Error | undefined;
  readonly #ended = new AbortController();

  constructor(remote: RemotePrefill, signal: AbortSignal) {
    this.#remote = remote;
    this.#socket = net.connect({ host: remote.host, port: remote.port, noDelay: true, signal });
    this.#socket.setEncoding('utf8');
    this.#socket.setTimeout(REPLY_TIMEOUT_MS, () => {
      if (this.#waiting) this.#fail(new Error('no answer from the side channel'));
    });
    this.#socket.on('data', (chunk: string) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the side channel closed the connection')));
  }

  /** Asks for the blocks. Rejects with the reason when they cannot be had. */
  async claim(): Promise<ClaimReply> {
    const reply = await this.#ask('claim', this.#remote.blockIds);
    if (!('num_tokens' in reply)) throw new Error('error' in reply ? reply.error : 'no content in the answer');
    return reply;
  }

  /** Lets the holder free the blocks. */
  async done(): Promise<void> {
    const reply = await this.#ask('done');
    if (!reply.ok) throw new Error(reply.error);
  }

  async heartbeat(): Promise<void> {
    await this.#ask('heartbeat');
  }

  [Symbol.dispose](): void {
    this.#fail(new Error('closed'));
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Aborts once there is a failure, as when the holder goes away. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  #ask(op: SideChannelRequest['op'], blockIds?: number[][]): Promise<SideChannelReply> {
    if (this.#failure) return Promise.reject(this.#failure);
    const { engineId, requestId } = this.#remote;
    const request: SideChannelRequest = { op, engine_id: engineId, request_id: requestId };
    if (blockIds) request.block_ids = blockIds;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  #receive(chunk: string): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const reply = parseReply(line);
        if (!reply) throw new Error('not a reply');
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting?.resolve(reply);
      }
    } catch (error) {
      this.#fail(new Error(`the side channel does not speak our language: ${messageOf(error)}`));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#ended.abort();
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#failure);
  }
}
