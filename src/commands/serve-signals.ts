/** First SIGINT or SIGTERM asks for a stop, the second forces it; a closed terminal or a broken pipe merely detaches. */
export class SignalCount {
  count = 0;
  detached = false;
  onSignal: () => void = () => {};
  readonly #ended = new AbortController();

  constructor() {
    this.#on('SIGINT', () => this.stop());
    this.#on('SIGTERM', () => this.stop());
    this.#on('SIGHUP', () => this.detach());
  }

  /** What SIGINT does: a terminal in raw mode sends Ctrl-C as a key instead. */
  stop(): void {
    this.count += 1;
    this.onSignal();
  }

  /** What SIGHUP does. */
  detach(): void {
    this.detached = true;
    this.onSignal();
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener);
    this.#ended.signal.addEventListener('abort', () => process.removeListener(signal, listener), { once: true });
  }

  close(): void {
    this.#ended.abort();
  }
}
