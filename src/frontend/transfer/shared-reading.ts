/**
 * Readings of one thing that many requests want at about the same time: one is under way at most, one waits, and all who ask
 * while it waits share it. At most one starts every `minGapMs`.
 */
export class SharedReading<T> {
  readonly #read: () => Promise<T>;
  readonly #minGapMs: number;
  readonly #now: () => number;
  readonly #pause: (ms: number) => Promise<void>;
  #running: Promise<T> | undefined;
  #waiting: Promise<T> | undefined;
  #startedMs = Number.NEGATIVE_INFINITY;
  #last: { value: T; startedMs: number } | undefined;

  constructor(
    read: () => Promise<T>,
    options: { minGapMs: number; now: () => number; pause: (ms: number) => Promise<void> },
  ) {
    this.#read = read;
    this.#minGapMs = options.minGapMs;
    this.#now = options.now;
    this.#pause = options.pause;
  }

  /** A reading that begins after this call. */
  fresh(): Promise<T> {
    const gapMs = this.#startedMs + this.#minGapMs - this.#now();
    if (this.#running === undefined && this.#waiting === undefined && gapMs <= 0) return this.#start();
    this.#waiting ??= this.#later();
    return this.#waiting;
  }

  /** The last reading if it began within `maxAgeMs`, be it still under way, else a fresh one. */
  recent(maxAgeMs: number): Promise<T> {
    const sinceMs = this.#now() - maxAgeMs;
    if (this.#last !== undefined && this.#last.startedMs >= sinceMs) return Promise.resolve(this.#last.value);
    return this.#running !== undefined && this.#startedMs >= sinceMs ? this.#running : this.fresh();
  }

  async #later(): Promise<T> {
    await this.#running?.catch(() => {});
    const gapMs = this.#startedMs + this.#minGapMs - this.#now();
    if (gapMs > 0) await this.#pause(gapMs);
    this.#waiting = undefined;
    return this.#start();
  }

  #start(): Promise<T> {
    const startedMs = this.#now();
    this.#startedMs = startedMs;
    const reading = this.#read().then((value) => {
      this.#last = { value, startedMs };
      return value;
    });
    this.#running = reading;
    const done = (): void => {
      if (this.#running === reading) this.#running = undefined;
    };
    reading.then(done, done);
    return reading;
  }
}
