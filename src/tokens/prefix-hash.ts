/**
 * A running 64-bit hash over token ids, kept as two 32-bit lanes so that no BigInt is made.
 * Two sequences that agree up to a point have the same value there, so snapshots of it name prefixes: keys of KV blocks
 * are snapshots at block ends, and the simulated model's next token is a function of it.
 */
export class PrefixHash {
  a = 0x243f6a88;
  b = 0x85a308d3 | 0;
  /** Tokens hashed so far. */
  length = 0;

  push(token: number): void {
    let a = Math.imul(this.a ^ token, 0x9e3779b1);
    a ^= a >>> 15;
    let b = Math.imul(this.b ^ token, 0x85ebca6b) + a;
    b ^= b >>> 13;
    this.a = a | 0;
    this.b = b | 0;
    this.length += 1;
  }

  pushAll(tokens: ArrayLike<number>): void {
    for (let index = 0; index < tokens.length; index += 1) this.push(tokens[index]!);
  }

  clone(): PrefixHash {
    const copy = new PrefixHash();
    copy.a = this.a;
    copy.b = this.b;
    copy.length = this.length;
    return copy;
  }
}

/** Spreads the bits of a 32-bit integer over all of it (the finaliser of MurmurHash3). Returns a signed 32-bit integer. */
export function mix32(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) | 0;
}
