import { mix32, PrefixHash } from '../tokens/prefix-hash.ts';

/**
 * Keys of the full KV blocks of one sequence. A key names the block's tokens and everything before them, so equal keys
 * mean equal prefixes. A key is 64 bits in two signed 32-bit halves, never both 0.
 */
export class BlockKeys {
  readonly blockSize: number;
  /** Low and high halves by block index; entries from `count` on are not set. */
  lo: Int32Array;
  hi: Int32Array;
  count = 0;
  readonly hash = new PrefixHash();

  /** `capacity` = blocks to make room for; it grows when needed. */
  constructor(blockSize: number, capacity = 8) {
    this.blockSize = blockSize;
    this.lo = new Int32Array(Math.max(1, capacity));
    this.hi = new Int32Array(Math.max(1, capacity));
  }

  /** Adds one token; a key appears whenever that fills a block. */
  push(token: number): void {
    this.hash.push(token);
    if (this.hash.length % this.blockSize === 0) this.#snapshot();
  }

  pushAll(tokens: ArrayLike<number>): void {
    for (let index = 0; index < tokens.length; index += 1) this.push(tokens[index]!);
  }

  /** Adds a whole block whose content is known only by a number, as in traces of hashed prompts. */
  pushBlock(content: number): void {
    this.hash.push(content);
    this.#snapshot();
  }

  #snapshot(): void {
    if (this.count === this.lo.length) {
      this.lo = grow(this.lo);
      this.hi = grow(this.hi);
    }
    const lo = mix32(this.hash.a);
    const hi = mix32(this.hash.b ^ (this.hash.a >>> 7));
    this.lo[this.count] = lo === 0 && hi === 0 ? 1 : lo;
    this.hi[this.count] = hi;
    this.count += 1;
  }
}

function grow(array: Int32Array): Int32Array {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
