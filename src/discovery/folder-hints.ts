import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { HintSource } from './record-store.ts';

/**
 * File notifications of one folder, subscribed again whenever the folder at that path is another one than before.
 * Where the system grants none (its limit is reached, a network file system), nothing is reported.
 */
export class FolderHints implements HintSource {
  readonly #folder: string;
  readonly #onHint: (name: string | null) => void;
  #watcher: FSWatcher | undefined;
  /** Which folder is watched, to tell it from a later one at the same path. */
  #identity: string | undefined;
  #isDisposed = false;

  /** `onHint` gets the name of the file, or null when any may have changed. */
  constructor(folder: string, onHint: (name: string | null) => void) {
    this.#folder = folder;
    this.#onHint = onHint;
  }

  async renew(): Promise<void> {
    const identity = await this.#identify();
    if (this.#isDisposed || (this.#watcher && identity === this.#identity)) return;
    this.#unsubscribe();
    if (identity === undefined) return;
    try {
      const watcher = watch(this.#folder, { persistent: false });
      watcher.on('change', (_type, name) => this.#onChange(typeof name === 'string' ? name : null));
      watcher.on('error', () => this.#unsubscribe());
      this.#watcher = watcher;
      this.#identity = identity;
    } catch {
      this.#unsubscribe();
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#unsubscribe();
  }

  #onChange(name: string | null): void {
    // The folder reports its own end under its own name, and nothing from then on.
    const isFolderGone = name === path.basename(this.#folder);
    if (isFolderGone) this.#unsubscribe();
    this.#onHint(isFolderGone ? null : name);
  }

  #unsubscribe(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#identity = undefined;
  }

  async #identify(): Promise<string | undefined> {
    try {
      const stats = await stat(this.#folder, { bigint: true });
      return `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
    } catch {
      return undefined;
    }
  }
}
