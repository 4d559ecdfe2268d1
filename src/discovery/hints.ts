import type { HintSource, RecordStore } from './record-store.ts';

/** Past this many changed keys a full list is cheaper than reading each. */
const MAX_KEYS = 500;
/** Changes come in groups; waiting this long after the first reads them together. */
const SETTLE_MS = 10;

/** Collects the keys a store hints at until the watch asks for them. */
export class Hints implements Disposable {
  readonly #source: HintSource | undefined;
  #keys = new Set<string>();
  #isEverything = false;
  #wake: () => void = () => {};

  /** `enabled` false: no hints ever come. */
  constructor(store: RecordStore, enabled: boolean) {
    this.#source = enabled ? store.hint((key) => this.#add(key)) : undefined;
  }

  /** Changed keys since the last call; `everything` when only a full list can tell. */
  take(): { keys: ReadonlySet<string>; everything: boolean } {
    const taken = { keys: this.#keys, everything: this.#isEverything };
    this.#keys = new Set();
    this.#isEverything = false;
    return taken;
  }

  async renew(): Promise<void> {
    await this.#source?.renew();
  }

  /** Resolves after `ms`, shortly after the first hint, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      let timer = setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done, { once: true });
      this.#wake = () => {
        clearTimeout(timer);
        timer = setTimeout(done, Math.min(ms, SETTLE_MS));
        this.#wake = () => {};
      };
      if (this.#isEverything || this.#keys.size > 0) this.#wake();
    });
  }

  [Symbol.dispose](): void {
    this.#source?.[Symbol.dispose]();
  }

  #add(key: string | null): void {
    if (key === null || this.#keys.size >= MAX_KEYS) this.#isEverything = true;
    else this.#keys.add(key);
    this.#wake();
  }
}
