import { DynamoError, messageOf } from '../base/errors.ts';
import { type HintSource, type RecordStore, unreachable } from './record-store.ts';

/**
 * A store whose settings may not be readable yet: a password that is not in this shell, a certificate on a folder that is
 * away. Each call tries again until it can be made; until then it counts as unreachable.
 */
export class PendingStore implements RecordStore {
  readonly #make: () => Promise<Required<RecordStore>>;
  #store: Promise<Required<RecordStore>> | undefined;
  #made: RecordStore | undefined;
  #isClosed = false;

  constructor(make: () => Promise<Required<RecordStore>>) {
    this.#make = make;
  }

  async open(): Promise<void> {
    await (await this.#get()).open();
  }

  async keys(): Promise<string[]> {
    return (await this.#get()).keys();
  }

  async keysWith(beginnings: readonly string[]): Promise<string[]> {
    return (await this.#get()).keysWith(beginnings);
  }

  async readAll(): ReturnType<Required<RecordStore>['readAll']> {
    return (await this.#get()).readAll();
  }

  async read(key: string): Promise<string | undefined> {
    return (await this.#get()).read(key);
  }

  async write(key: string, text: string): Promise<void> {
    await (await this.#get()).write(key, text);
  }

  async create(key: string, text: string): Promise<boolean> {
    return (await this.#get()).create(key, text);
  }

  async move(from: string, to: string): Promise<void> {
    await (await this.#get()).move(from, to);
  }

  async remove(key: string): Promise<void> {
    await (await this.#get()).remove(key);
  }

  async clear(options?: { forGood: boolean }): Promise<void> {
    await (await this.#get()).clear(options);
  }

  async assertPresent(): Promise<void> {
    await (await this.#get()).assertPresent();
  }

  hint(onHint: (key: string | null) => void): HintSource {
    let source: HintSource | undefined;
    let isDisposed = false;
    return {
      renew: async () => {
        const store = await this.#get();
        if (isDisposed) return;
        source ??= store.hint(onHint);
        await source.renew();
      },
      [Symbol.dispose]: () => {
        isDisposed = true;
        source?.[Symbol.dispose]();
      },
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#made?.close?.();
  }

  #get(): Promise<Required<RecordStore>> {
    this.#store ??= this.#makeNow();
    return this.#store;
  }

  async #makeNow(): Promise<Required<RecordStore>> {
    try {
      const store = await this.#make();
      this.#made = store;
      if (this.#isClosed) store.close();
      return store;
    } catch (error) {
      this.#store = undefined;
      if (error instanceof DynamoError && error.code !== 'SECRET_MISSING') throw error;
      throw unreachable(messageOf(error), error);
    }
  }
}
