import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { FrameReader } from './framed-command.ts';

/** The answer of a framed command as a stream: what comes before the nonce is dropped, the rest passes both ways with backpressure. */
export class FramedStream extends Duplex {
  readonly #channel: ClientChannel;
  readonly #frame: FrameReader;
  readonly #errors: FrameReader;
  #first: ((byte: string) => void) | undefined;
  #stderr = '';

  constructor(channel: ClientChannel, nonce: string) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    this.#frame = new FrameReader(nonce);
    this.#errors = new FrameReader(nonce);
    channel.on('data', (chunk: Buffer) => this.#take(this.#frame.push(chunk)));
    channel.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + this.#errors.push(chunk)).slice(-1_000);
    });
    channel.on('end', () => this.push(null));
    channel.on('error', (error: Error) => this.destroy(error));
    channel.on('close', () => {
      this.#first?.(this.#stderr.trim() || this.#frame.before.trim() || 'it ended at once');
      this.destroy();
    });
  }

  /** The first character of the answer, which is not part of the stream; or, when the command ends first, what it said. */
  firstByte(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#first = resolve;
      signal.addEventListener('abort', () => reject(new Error('it does not answer')), { once: true });
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#channel.write(chunk, (error?: Error | null) => done(error));
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close();
    done(error);
  }

  #take(bytes: Buffer): void {
    let rest = bytes;
    if (this.#first && rest.length > 0) {
      this.#first(rest.toString('latin1', 0, 1));
      this.#first = undefined;
      rest = rest.subarray(1);
    }
    if (rest.length > 0 && !this.push(rest)) this.#channel.pause();
  }
}
