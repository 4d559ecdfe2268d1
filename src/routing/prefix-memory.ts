import type { BlockHashes } from './block-hash.ts';

const NONE = -1;
const INITIAL_ENTRIES = 256;

/**
 * What one worker's prefix cache probably holds: the blocks of requests sent there, forgotten `ttlMs` after their last use
 * or, beyond `maxBlocks`, the least recently used first. A request's later blocks count as older than its earlier ones,
 * as engines evict a chain from its end.
 *
 * An open-addressing table of block hashes over entries linked in order of use, all in typed arrays.
 */
export class PrefixMemory {
  readonly #ttlMs: number;
  readonly #maxBlocks: number;
  #size = 0;
  #capacity = INITIAL_ENTRIES;
  /** Slot → entry index, or NONE. Twice as many slots as entries. */
  #slots = new Int32Array(INITIAL_ENTRIES * 2).fill(NONE);
  #hash = new Float64Array(INITIAL_ENTRIES);
  #usedAtMs = new Float64Array(INITIAL_ENTRIES);
  /** Neighbours in order of use. */
  #newer = new Int32Array(INITIAL_ENTRIES);
  #older = new Int32Array(INITIAL_ENTRIES);
  #newest = NONE;
  #oldest = NONE;

  constructor(options: { ttlMs: number; maxBlocks: number }) {
    this.#ttlMs = options.ttlMs;
    this.#maxBlocks = Math.max(1, options.maxBlocks);
  }

  /** Blocks remembered, expired ones included until they are next in line. */
  get size(): number {
    return this.#size;
  }

  /** How many blocks from the front the worker probably has at `nowMs`. */
  overlap(blocks: BlockHashes, nowMs: number): number {
    const oldestValidMs = nowMs - this.#ttlMs;
    for (let index = 0; index < blocks.length; index += 1) {
      const entry = this.#find(blocks[index]!);
      if (entry === NONE || this.#usedAtMs[entry]! < oldestValidMs) return index;
    }
    return blocks.length;
  }

  /** Remembers all blocks of a request as used at `nowMs`. */
  touch(blocks: BlockHashes, nowMs: number): void {
    this.#expire(nowMs - this.#ttlMs);
    for (let index = Math.min(blocks.length, this.#maxBlocks) - 1; index >= 0; index -= 1) {
      this.#touchOne(blocks[index]!, nowMs);
    }
  }

  clear(): void {
    this.#slots.fill(NONE);
    this.#size = 0;
    this.#newest = NONE;
    this.#oldest = NONE;
  }

  #touchOne(hash: number, nowMs: number): void {
    let entry = this.#find(hash);
    if (entry === NONE) {
      if (this.#size >= this.#maxBlocks) this.#removeOldest();
      if (this.#size >= this.#capacity) this.#grow();
      entry = this.#size++;
      this.#hash[entry] = hash;
      this.#insertSlot(entry);
    } else this.#unlink(entry);
    this.#usedAtMs[entry] = nowMs;
    this.#linkNewest(entry);
  }

  #expire(oldestValidMs: number): void {
    while (this.#oldest !== NONE && this.#usedAtMs[this.#oldest]! < oldestValidMs) this.#removeOldest();
  }

  #find(hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = (hash >>> 0) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === NONE || this.#hash[entry] === hash) return entry;
    }
  }

  #slotOf(entry: number): number {
    const mask = this.#slots.length - 1;
    let slot = (this.#hash[entry]! >>> 0) & mask;
    while (this.#slots[slot] !== entry) slot = (slot + 1) & mask;
    return slot;
  }

  #insertSlot(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#hash[entry]! >>> 0) & mask;
    while (this.#slots[slot] !== NONE) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
  }

  /** Frees the entry and moves the last one into its place, so that entries stay dense. */
  #removeOldest(): void {
    const entry = this.#oldest;
    this.#unlink(entry);
    this.#clearSlot(this.#slotOf(entry));
    const last = --this.#size;
    if (entry === last) return;
    this.#slots[this.#slotOf(last)] = entry;
    this.#hash[entry] = this.#hash[last]!;
    this.#usedAtMs[entry] = this.#usedAtMs[last]!;
    const newer = this.#newer[last]!;
    const older = this.#older[last]!;
    this.#newer[entry] = newer;
    this.#older[entry] = older;
    if (newer === NONE) this.#newest = entry;
    else this.#older[newer] = entry;
    if (older === NONE) this.#oldest = entry;
    else this.#newer[older] = entry;
  }

  /** Empties a slot and closes the gap, so that probing needs no tombstones. */
  #clearSlot(slot: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let gap = slot;
    for (let next = (gap + 1) & mask; slots[next] !== NONE; next = (next + 1) & mask) {
      const home = (this.#hash[slots[next]!]! >>> 0) & mask;
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      slots[gap] = slots[next]!;
      gap = next;
    }
    slots[gap] = NONE;
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry]!;
    const older = this.#older[entry]!;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  #linkNewest(entry: number): void {
    this.#newer[entry] = NONE;
    this.#older[entry] = this.#newest;
    if (this.#newest === NONE) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#hash = copyInto(new Float64Array(this.#capacity), this.#hash);
    this.#usedAtMs = copyInto(new Float64Array(this.#capacity), this.#usedAtMs);
    this.#newer = copyInto(new Int32Array(this.#capacity), this.#newer);
    this.#older = copyInto(new Int32Array(this.#capacity), this.#older);
    this.#slots = new Int32Array(this.#capacity * 2).fill(NONE);
    for (let entry = 0; entry < this.#size; entry += 1) this.#insertSlot(entry);
  }
}

function copyInto<T extends Float64Array | Int32Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
