/**
 * Finds the block that holds a key: open addressing with linear probing over flat arrays. The keys live with their
 * blocks, so a slot is one integer. Removal shifts entries back, so there are no markers to clean up.
 */
export class KeyIndex {
  /** Block + 1, 0 for an empty slot. */
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #lo: Int32Array;
  readonly #hi: Int32Array;
  size = 0;

  /** `lo` and `hi` are the halves of each block's key, by block; the index reads them and never writes. */
  constructor(lo: Int32Array, hi: Int32Array) {
    let capacity = 16;
    while (capacity < lo.length * 2) capacity *= 2;
    this.#slots = new Int32Array(capacity);
    this.#mask = capacity - 1;
    this.#lo = lo;
    this.#hi = hi;
  }

  /** The block with that key, or −1. */
  find(lo: number, hi: number): number {
    for (let slot = lo & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const block = this.#slots[slot]! - 1;
      if (block < 0) return -1;
      if (this.#lo[block] === lo && this.#hi[block] === hi) return block;
    }
  }

  /** Adds a block under the key it has now. The key must not be in the index. */
  add(block: number): void {
    let slot = this.#lo[block]! & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = block + 1;
    this.size += 1;
  }

  /** Removes a block that is in the index, under the key it was added with. */
  remove(block: number): void {
    const mask = this.#mask;
    let hole = this.#lo[block]! & mask;
    while (this.#slots[hole] !== block + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#lo[this.#slots[slot]! - 1]! & mask;
      // An entry may move back only as far as its home slot.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        this.#slots[hole] = this.#slots[slot]!;
        hole = slot;
      }
    }
    this.#slots[hole] = 0;
    this.size -= 1;
  }
}
