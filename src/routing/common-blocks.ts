import type { BlockHashes } from './block-hash.ts';

/** Requests to look at before anything counts as common. */
const MIN_REQUESTS = 32;
/** Counts are halved when this many requests have been counted, so that old traffic fades. */
const WINDOW_REQUESTS = 1_024;
/** Blocks followed per request: a common prefix is at its front. */
const MAX_DEPTH = 256;
/** Blocks not seen before that one request may add: bounds the table at this times the window. */
const MAX_NEW = 16;
/** Share of requests from which a block's credit shrinks, and at which it is gone. */
const FADE_FROM = 0.5;
const FADE_TO = 0.8;

/**
 * Finds blocks that nearly every request begins with, such as a system prompt. Every worker will hold these anyway, so
 * having them first must not pull all traffic to one worker: their overlap earns no credit.
 */
export class CommonBlocks {
  #counts = new Map<number, number>();
  #requests = 0;

  /** Counts a request. */
  note(blocks: BlockHashes): void {
    this.#requests += 1;
    const depth = Math.min(blocks.length, MAX_DEPTH);
    for (let index = 0, added = 0; index < depth && added < MAX_NEW; index += 1) {
      const count = this.#counts.get(blocks[index]!) ?? 0;
      this.#counts.set(blocks[index]!, count + 1);
      if (count === 0) added += 1;
    }
    if (this.#requests >= WINDOW_REQUESTS) this.#fade();
  }

  /** How many leading blocks of the request earn no credit; fractions where a block is in the fading range. */
  discount(blocks: BlockHashes): number {
    if (this.#requests < MIN_REQUESTS) return 0;
    let sum = 0;
    const depth = Math.min(blocks.length, MAX_DEPTH);
    for (let index = 0; index < depth; index += 1) {
      const share = (this.#counts.get(blocks[index]!) ?? 0) / this.#requests;
      if (share <= FADE_FROM) break;
      sum += Math.min(1, (share - FADE_FROM) / (FADE_TO - FADE_FROM));
    }
    return sum;
  }

  #fade(): void {
    this.#requests /= 2;
    const faded = new Map<number, number>();
    for (const [hash, count] of this.#counts) if (count >= 2) faded.set(hash, count / 2);
    this.#counts = faded;
  }
}
