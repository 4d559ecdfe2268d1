import type { ServerResponse } from 'node:http';
import type { Exchange } from './upstream/connection-pool.ts';

/**
 * Ties a client's connection to whatever runs for it: when the client goes away, the exchange with the worker is aborted,
 * whichever leg it is. When the client is slow, the worker is not read.
 */
export class ClientLink {
  /** The client closed its connection before the response was complete. */
  gone = false;
  /** The frontend ended the request, because draining took too long. */
  cut = false;
  #exchange: Exchange | undefined;
  #onLost: (() => void) | undefined;

  constructor(response: ServerResponse) {
    response.once('close', () => {
      if (response.writableFinished) return;
      this.gone = true;
      this.#lose();
    });
  }

  /** The exchange that runs now. */
  attach(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.gone || this.cut) exchange.abort();
  }

  /** Called once when the client goes away or the request is cut; for what needs more than the end of one exchange. */
  whenLost(listener: () => void): void {
    this.#onLost = listener;
    if (this.gone || this.cut) listener();
  }

  press(full: boolean): void {
    if (full) this.#exchange?.pause();
    else this.#exchange?.resume();
  }

  /** Ends the request from our side. */
  abort(): void {
    this.cut = true;
    this.#lose();
  }

  #lose(): void {
    this.#exchange?.abort();
    this.#onLost?.();
  }
}
