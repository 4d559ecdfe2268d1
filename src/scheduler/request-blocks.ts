import type { BlockPool } from './block-pool.ts';
import type { ScheduledRequest } from './request.ts';

/** What requests do with the KV cache: find the blocks of their prefix, take new ones, offer them for reuse, free them. */
export class RequestBlocks {
  readonly pool: BlockPool;
  readonly #blockSize: number;
  readonly #reuses: boolean;

  constructor(pool: BlockPool, blockSize: number, reusesPrefixes: boolean) {
    this.pool = pool;
    this.#blockSize = blockSize;
    this.#reuses = reusesPrefixes;
  }

  /** How many leading blocks of the request are cached; one token at least is left to compute. */
  countMatches(request: ScheduledRequest<unknown>, total: number): number {
    const keys = request.keys;
    if (!keys || !this.#reuses) return 0;
    const most = Math.min(keys.count, Math.floor((total - 1) / this.#blockSize));
    let count = 0;
    while (count < most && this.pool.find(keys.lo[count]!, keys.hi[count]!) >= 0) count += 1;
    return count;
  }

  /** Whether the whole sequence has room now, so that an admitted prompt rarely has to be preempted half-way. */
  fits(request: ScheduledRequest<unknown>, matched: number, total: number): boolean {
    let needed = Math.ceil(total / this.#blockSize) - matched;
    const keys = request.keys;
    if (keys) {
      for (let index = 0; index < matched && needed <= this.pool.free; index += 1) {
        if (this.pool.isFree(this.pool.find(keys.lo[index]!, keys.hi[index]!))) needed += 1;
      }
    }
    return needed <= this.pool.free;
  }

  /** Refers to the cached blocks that `countMatches` has found. */
  takeMatches(request: ScheduledRequest<unknown>, matched: number): void {
    for (let index = 0; index < matched; index += 1) {
      const block = this.pool.find(request.keys!.lo[index]!, request.keys!.hi[index]!);
      this.pool.acquire(block);
      request.blocks[index] = block;
    }
    request.blockCount = matched;
    request.stored = matched;
  }

  /** Takes the blocks for `tokens` more tokens; takes none and returns false when there are too few. */
  take(request: ScheduledRequest<unknown>, tokens: number): boolean {
    const needed = Math.ceil((request.computed + tokens) / this.#blockSize) - request.blockCount;
    if (needed > this.pool.free) return false;
    for (let count = 0; count < needed; count += 1) {
      request.blocks[request.blockCount] = this.pool.allocate();
      request.blockCount += 1;
    }
    return true;
  }

  /** Offers the blocks that `tokens` tokens fill to the prefix cache. */
  store(request: ScheduledRequest<unknown>, tokens: number): void {
    const keys = request.keys;
    if (!keys || !this.#reuses) return;
    const full = Math.min(keys.count, Math.floor(tokens / this.#blockSize));
    for (; request.stored < full; request.stored += 1) {
      this.pool.store(request.blocks[request.stored]!, keys, request.stored);
    }
  }

  /** Frees the last blocks first, so that they are evicted before the prefixes they hang on. */
  free(request: ScheduledRequest<unknown>): void {
    while (request.blockCount > 0) {
      request.blockCount -= 1;
      this.pool.release(request.blocks[request.blockCount]!);
    }
    request.stored = 0;
  }
}
