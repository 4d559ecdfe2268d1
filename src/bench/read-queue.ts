/**
 * Separates stamping socket reads from parsing them. All sockets that are readable in one turn of the event loop are read and stamped
 * first; what they brought is parsed afterwards, so parsing one response does not make another look late.
 */
export class ReadQueue {
  #pending: (() => void)[] = [];
  readonly #defer: (run: () => void) => void;

  /** `defer` runs a function after the reads of this turn (`setImmediate`). */
  constructor(defer: (run: () => void) => void = setImmediate) {
    this.#defer = defer;
  }

  add(parse: () => void): void {
    if (this.#pending.length === 0) this.#defer(() => this.#flush());
    this.#pending.push(parse);
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const parse of pending) parse();
  }
}
