import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { explainWriteError } from '../base/atomic-file.ts';
import { until } from '../base/until.ts';
import { encodeSegment } from './record-key.ts';

/** A network file system may show a new file this much later. */
const SEEN_WITHIN_MS = 10_000;

/**
 * The proof that several parties use one folder: each writes a nonce, and when all have, each looks for those of the others.
 * The nonce is part of the file's name: a name nobody asked for before is in no cache as missing.
 */
export class SharedFolder {
  readonly #folder: string;
  readonly #seenWithinMs: number;

  /** `root`: the folder of the file backend, as this party sees it. */
  constructor(root: string, deployment: string, seenWithinMs = SEEN_WITHIN_MS) {
    this.#seenWithinMs = seenWithinMs;
    this.#folder = path.join(root, encodeSegment(deployment));
  }

  /** Throws `STATE_UNREADABLE` or `DISK_FULL` when it cannot be written. */
  async show(party: string, nonce: string): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(this.#fileOf(party, nonce), '', { mode: 0o600 });
    } catch (error) {
      throw explainWriteError(error, this.#folder);
    }
  }

  /** The parties whose nonce does not appear in time, given the nonces of all. */
  async unseen(nonces: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string[]> {
    let missing = Object.entries(nonces);
    await until(
      async () => {
        const found = await Promise.all(missing.map(([party, nonce]) => exists(this.#fileOf(party, nonce))));
        missing = missing.filter((_, index) => !found[index]);
        return missing.length === 0 ? true : undefined;
      },
      { deadlineMs: this.#seenWithinMs, intervalMs: 20, maxIntervalMs: 500, ...(signal ? { signal } : {}) },
    );
    return missing.map(([party]) => party);
  }

  async hide(party: string, nonce: string): Promise<void> {
    await rm(this.#fileOf(party, nonce), { force: true }).catch(() => {});
  }

  /** Hidden, so that it is no record. */
  #fileOf(party: string, nonce: string): string {
    return path.join(this.#folder, `.shared-${encodeSegment(party)}-${nonce}`);
  }
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
