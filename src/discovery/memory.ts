import type { Discovery } from './discovery.ts';
import { RecordDiscovery, type RecordDiscoveryOptions } from './record-discovery.ts';
import { type HintSource, MAX_RECORD_BYTES, type RecordStore, UnreadableRecordError } from './record-store.ts';

/** What several memory discoveries share. The switches stand for what can happen to a store that others run. */
export interface MemorySpace {
  /** Texts by deployment and key. */
  texts: Map<string, Map<string, string>>;
  listeners: Set<(deployment: string, key: string) => void>;
  /** Thrown by every read and write while set. */
  failure: Error | null;
  /** Thrown by every write that needs room while set. */
  full: Error | null;
}

export function createMemorySpace(): MemorySpace {
  return { texts: new Map(), listeners: new Set(), failure: null, full: null };
}

/** Discovery inside one process: for tests and for tools that run everything themselves. */
export function createMemoryDiscovery(space: MemorySpace, options: RecordDiscoveryOptions): Discovery {
  return new RecordDiscovery(new MemoryStore(space, options.deployment), options);
}

class MemoryStore implements RecordStore {
  readonly #space: MemorySpace;
  readonly #deployment: string;

  constructor(space: MemorySpace, deployment: string) {
    this.#space = space;
    this.#deployment = deployment;
  }

  async open(): Promise<void> {
    this.#texts();
  }

  async keys(): Promise<string[]> {
    return [...this.#texts().keys()];
  }

  async read(key: string): Promise<string | undefined> {
    const text = this.#texts().get(key);
    if (text !== undefined && text.length > MAX_RECORD_BYTES) {
      throw new UnreadableRecordError(`it has ${text.length} bytes`);
    }
    return text;
  }

  async write(key: string, text: string): Promise<void> {
    if (this.#space.full) throw this.#space.full;
    this.#texts().set(key, text);
    this.#tell(key);
  }

  async create(key: string, text: string): Promise<boolean> {
    if (this.#texts().has(key)) return false;
    await this.write(key, text);
    return true;
  }

  async move(from: string, to: string): Promise<void> {
    const texts = this.#texts();
    const text = texts.get(from);
    if (text === undefined) return;
    texts.set(to, text);
    texts.delete(from);
    this.#tell(from);
    this.#tell(to);
  }

  async remove(key: string): Promise<void> {
    if (this.#texts().delete(key)) this.#tell(key);
  }

  async clear(): Promise<void> {
    for (const key of [...this.#texts().keys()]) await this.remove(key);
  }

  async assertPresent(): Promise<void> {
    this.#texts();
  }

  hint(onHint: (key: string | null) => void): HintSource {
    const { listeners } = this.#space;
    const listener = (deployment: string, key: string) => {
      if (deployment === this.#deployment) onHint(key);
    };
    listeners.add(listener);
    return { renew: async () => {}, [Symbol.dispose]: () => void listeners.delete(listener) };
  }

  #texts(): Map<string, string> {
    if (this.#space.failure) throw this.#space.failure;
    const texts = this.#space.texts.get(this.#deployment) ?? new Map<string, string>();
    this.#space.texts.set(this.#deployment, texts);
    return texts;
  }

  #tell(key: string): void {
    for (const listener of this.#space.listeners) listener(this.#deployment, key);
  }
}
