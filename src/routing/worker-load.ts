import type { BlockHashes } from './block-hash.ts';

/** Half-life of the memory of what a worker was given, for choosing among workers that are equally good now. */
const RECENT_HALF_LIFE_MS = 30_000;

/** What one router has sent to one worker and what of it is still running there. */
export class WorkerLoad {
  /** Prompt tokens dispatched, not expected in cache, and not yet through prefill. */
  activePrefillTokens = 0;
  /** Prompt blocks of running requests. */
  activeBlocks = 0;
  activeRequests = 0;
  #recentTokens = 0;
  #recentAtMs = 0;
  /** Block → running requests that use it; only where shared blocks count once. */
  readonly #users: Map<number, number> | undefined;

  constructor(options: { sharedBlocksCountOnce: boolean }) {
    this.#users = options.sharedBlocksCountOnce ? new Map() : undefined;
  }

  /** Blocks that a request would add to `activeBlocks`. */
  addedBlocks(blocks: BlockHashes, promptBlocks: number): number {
    if (this.#users === undefined) return promptBlocks;
    let shared = 0;
    while (shared < blocks.length && this.#users.has(blocks[shared]!)) shared += 1;
    return promptBlocks - shared;
  }

  /**
   * Charges a dispatched request. `prefillTokens` wait until `removePrefill`; `givenTokens` count for `recentTokens`.
   */
  add(blocks: BlockHashes, promptBlocks: number, prefillTokens: number, givenTokens: number, nowMs: number): void {
    this.activeRequests += 1;
    this.activePrefillTokens += prefillTokens;
    this.#recentTokens = this.recentTokens(nowMs) + givenTokens + 1;
    this.#recentAtMs = nowMs;
    if (this.#users === undefined) {
      this.activeBlocks += promptBlocks;
      return;
    }
    this.activeBlocks += promptBlocks - blocks.length;
    for (const hash of blocks) {
      const users = this.#users.get(hash) ?? 0;
      this.#users.set(hash, users + 1);
      if (users === 0) this.activeBlocks += 1;
    }
  }

  /** The request's first token came: its prefill no longer waits. */
  removePrefill(prefillTokens: number): void {
    this.activePrefillTokens -= prefillTokens;
  }

  /** The request ended. */
  remove(blocks: BlockHashes, promptBlocks: number): void {
    this.activeRequests -= 1;
    if (this.#users === undefined) {
      this.activeBlocks -= promptBlocks;
      return;
    }
    this.activeBlocks -= promptBlocks - blocks.length;
    for (const hash of blocks) {
      const users = (this.#users.get(hash) ?? 1) - 1;
      if (users > 0) this.#users.set(hash, users);
      else {
        this.#users.delete(hash);
        this.activeBlocks -= 1;
      }
    }
  }

  /** Tokens given to this worker of late, halved every 30 s. */
  recentTokens(nowMs: number): number {
    return this.#recentTokens * 2 ** ((this.#recentAtMs - nowMs) / RECENT_HALF_LIFE_MS);
  }
}
