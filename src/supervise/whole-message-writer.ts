import type { Duplex } from 'node:stream';
import { AbstractMessageWriter, type Message, type MessageWriter } from 'vscode-jsonrpc/node';

/**
 * Writes header and body of a message at once. In two writes they are two packets of an SSH server, whose second waits for the
 * first to be acknowledged: 40 ms a message.
 */
export class WholeMessageWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #stream: Duplex;
  #errors = 0;

  constructor(stream: Duplex) {
    super();
    this.#stream = stream;
    stream.on('error', (error: Error) => this.fireError(error));
    stream.on('close', () => this.fireClose());
  }

  write(message: Message): Promise<void> {
    const body = Buffer.from(JSON.stringify(message));
    const whole = Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
    return new Promise((resolve, reject) => {
      this.#stream.write(whole, (error) => {
        if (!error) return resolve();
        this.#errors += 1;
        this.fireError(error, message, this.#errors);
        reject(error);
      });
    });
  }

  end(): void {}
}
