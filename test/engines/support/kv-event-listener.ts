import path from 'node:path';
import { LineProcess } from '../../helpers/line-process.ts';
import { waitFor } from '../../helpers/until.ts';

/** One message of a vLLM server's KV events. */
export interface KvEventMessage {
  kind: 'live' | 'replay';
  topic: string;
  sequence: number;
  /** The msgpack batch. */
  payload: Buffer;
  /** The batch as Python reads it, hashes as text. */
  events: { type: string; block_hashes?: string[]; token_ids?: number[]; [key: string]: unknown }[];
}

/** Listens by way of vLLM's own libraries, so that nothing of ours decides what was sent. */
export class KvEventListener implements AsyncDisposable {
  readonly live: KvEventMessage[] = [];
  #replayed: KvEventMessage[] = [];
  #replays = 0;
  #connected = false;
  readonly #python: LineProcess;

  constructor(folder: string, events: string, replay: string) {
    const script = path.join(import.meta.dirname, 'kv_events.py');
    this.#python = new LineProcess([path.join(folder, 'venv/bin/python'), script, events, replay]);
    void this.#read();
  }

  /** Waits until the server has answered; what it says from now on is heard. */
  async connected(deadlineMs: number): Promise<void> {
    await waitFor('the KV event socket to be connected', () => this.#connected, deadlineMs);
  }

  /** What the server has kept, from a sequence number on. */
  async replay(from: number, deadlineMs: number): Promise<KvEventMessage[]> {
    this.#replayed = [];
    const before = this.#replays;
    this.#python.child.stdin.write(`${from}\n`);
    await waitFor('the replay to end', () => this.#replays > before, deadlineMs);
    return this.#replayed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#python.kill();
  }

  async #read(): Promise<void> {
    for (let line = await this.#python.line(); line !== undefined; line = await this.#python.line()) this.#take(line);
  }

  #take(line: string): void {
    const said = JSON.parse(line) as { kind: string; payload?: string } & Omit<KvEventMessage, 'kind' | 'payload'>;
    if (said.kind === 'connected') this.#connected = true;
    else if (said.kind === 'replay-end') this.#replays += 1;
    else {
      const message = { ...said, payload: Buffer.from(said.payload!, 'base64') } as KvEventMessage;
      (message.kind === 'live' ? this.live : this.#replayed).push(message);
    }
  }
}
