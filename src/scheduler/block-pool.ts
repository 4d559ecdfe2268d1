import type { BlockKeys } from './block-keys.ts';
import { KeyIndex } from './key-index.ts';

/** What happened to cached blocks, as an engine's KV events would tell it. Called inside the step: keep it short. */
export interface BlockEvents {
  /** Block `index` of a sequence with these keys can be reused from now on. */
  stored?(keys: BlockKeys, index: number): void;
  /** The block with this key was evicted. */
  removed?(lo: number, hi: number): void;
}

/**
 * The paged KV cache. A block is active (someone refers to it) or inactive. Inactive blocks wait in one list, the next to
 * be given out at its head: blank ones in front, then cached ones, least recently used first.
 * A cached block keeps its key while inactive and is found by it until it is given out for something else.
 */
export class BlockPool {
  readonly total: number;
  /** Blocks nobody refers to, cached or blank. */
  free: number;
  readonly #references: Int32Array;
  readonly #keyLo: Int32Array;
  readonly #keyHi: Int32Array;
  readonly #hasKey: Uint8Array;
  /** Times each block was given out: tells whether its content is still what somebody remembers. */
  readonly #writes: Uint32Array;
  /** Doubly linked list of inactive blocks; index `total` is the sentinel. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #index: KeyIndex;
  readonly #events: BlockEvents;

  constructor(total: number, events: BlockEvents = {}) {
    this.total = total;
    this.free = total;
    this.#references = new Int32Array(total);
    this.#keyLo = new Int32Array(total);
    this.#keyHi = new Int32Array(total);
    this.#hasKey = new Uint8Array(total);
    this.#writes = new Uint32Array(total);
    this.#next = new Int32Array(total + 1);
    this.#previous = new Int32Array(total + 1);
    for (let block = 0; block <= total; block += 1) {
      this.#next[block] = block === total ? 0 : block + 1;
      this.#previous[block] = block === 0 ? total : block - 1;
    }
    this.#index = new KeyIndex(this.#keyLo, this.#keyHi);
    this.#events = events;
  }

  /** Blocks that can be found by their key, active or not. */
  get cached(): number {
    return this.#index.size;
  }

  /** The block with that key, or −1. */
  find(lo: number, hi: number): number {
    return this.#index.find(lo, hi);
  }

  isFree(block: number): boolean {
    return this.#references[block] === 0;
  }

  writesOf(block: number): number {
    return this.#writes[block]!;
  }

  /** Adds a reference to a cached block. */
  acquire(block: number): void {
    if (this.#references[block] === 0) {
      this.#unlink(block);
      this.free -= 1;
    }
    this.#references[block]! += 1;
  }

  /** A block for new content, evicting the least recently used cached one when no blank one is left. Needs `free` > 0. */
  allocate(): number {
    const block = this.#next[this.total]!;
    if (block === this.total) throw new RangeError('no free block');
    this.#unlink(block);
    this.free -= 1;
    this.#references[block] = 1;
    this.#writes[block]! += 1;
    if (this.#hasKey[block] === 1) {
      this.#index.remove(block);
      this.#hasKey[block] = 0;
      this.#events.removed?.(this.#keyLo[block]!, this.#keyHi[block]!);
    }
    return block;
  }

  /**
   * Makes an active block reusable under key `index` of `keys`. When another block has that key already (two requests
   * computed the same prefix at once), this one stays private.
   */
  store(block: number, keys: BlockKeys, index: number): void {
    const lo = keys.lo[index]!;
    const hi = keys.hi[index]!;
    if (this.#hasKey[block] === 1 || this.#index.find(lo, hi) >= 0) return;
    this.#keyLo[block] = lo;
    this.#keyHi[block] = hi;
    this.#hasKey[block] = 1;
    this.#index.add(block);
    this.#events.stored?.(keys, index);
  }

  /** Drops one reference. The last one makes the block inactive; it stays cached if it has a key. */
  release(block: number): void {
    const left = this.#references[block]! - 1;
    if (left < 0) throw new RangeError(`block ${block} released twice`);
    this.#references[block] = left;
    if (left > 0) return;
    this.free += 1;
    const before = this.#hasKey[block] === 1 ? this.#previous[this.total]! : this.total;
    const after = this.#next[before]!;
    this.#previous[block] = before;
    this.#next[block] = after;
    this.#next[before] = block;
    this.#previous[after] = block;
  }

  #unlink(block: number): void {
    const before = this.#previous[block]!;
    const after = this.#next[block]!;
    this.#next[before] = after;
    this.#previous[after] = before;
  }
}
