import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { CopySnapshot } from '../deployment/snapshot.ts';

/** Clients are told of a copy under way this often. */
const TELL_MS = 200;

export interface KitCopiesOptions {
  onEvent(type: string, message: string): void;
  onChange(): void;
  /** Monotonic milliseconds. */
  now(): number;
}

/** What is being copied to which hosts, for clients to show; events tell begin and end of each. */
export class KitCopies {
  readonly #options: KitCopiesOptions;
  readonly #copies = new Map<string, CopySnapshot & { beganMs: number }>();
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(options: KitCopiesOptions) {
    this.#options = options;
  }

  /** By host; a host to which nothing is copied has none. */
  get current(): ReadonlyMap<string, CopySnapshot> {
    return new Map(
      [...this.#copies].map(([host, { what, doneBytes, totalBytes }]) => [host, { what, doneBytes, totalBytes }]),
    );
  }

  /** `totalBytes` 0: not known yet. */
  progress(host: string, what: string, doneBytes: number, totalBytes: number): void {
    const { onEvent, onChange, now } = this.#options;
    const before = this.#copies.get(host);
    const isNew = before?.what !== what || (before.totalBytes === 0 && totalBytes > 0);
    if (isNew) this.#end(host);
    this.#copies.set(host, { what, doneBytes, totalBytes, beganMs: isNew ? now() : before.beganMs });
    if (isNew && totalBytes > 0) onEvent('kit', `copying ${what} to ${host}: ${formatBytes(totalBytes)}`);
    if (!isNew && doneBytes < totalBytes && now() - this.#toldMs < TELL_MS) return;
    this.#toldMs = now();
    onChange();
  }

  /** Nothing is copied to the host any more, whether it came to an end or failed. */
  end(host: string): void {
    if (!this.#copies.has(host)) return;
    this.#end(host);
    this.#options.onChange();
  }

  #end(host: string): void {
    const copy = this.#copies.get(host);
    if (!copy) return;
    this.#copies.delete(host);
    const { what, doneBytes, totalBytes, beganMs } = copy;
    if (totalBytes === 0) return;
    const took = formatDuration(this.#options.now() - beganMs);
    this.#options.onEvent(
      'kit',
      doneBytes < totalBytes
        ? `copying ${what} to ${host} ended after ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`
        : `copied ${what} to ${host} in ${took}`,
    );
  }
}
