/**
 * Names of prompt prefixes. The hash of a block covers every token up to its end, so equal hashes mean equal prefixes and
 * a walk from the front may stop at the first block that is unknown. Only full blocks count.
 * A hash is an integer below 2^53 (two 32-bit lanes, the upper cut to 21 bits), so it is an exact number and needs no BigInt.
 */
export type BlockHashes = Float64Array;

/** Hashes of the full blocks of `tokens`. `salt` keeps apart what must not share cache (a cache salt, an adapter). */
export function hashBlocks(tokens: ArrayLike<number>, blockSize: number, salt = 0): BlockHashes {
  const blocks = Math.floor(tokens.length / blockSize);
  const hashes = new Float64Array(blocks);
  let a = 0x243f6a88 ^ salt;
  let b = 0x13198a2e ^ Math.imul(salt, 0x9e3779b1);
  for (let block = 0, at = 0; block < blocks; block += 1) {
    for (let index = 0; index < blockSize; index += 1, at += 1) {
      const token = tokens[at]! | 0;
      a = Math.imul(a ^ token, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b ^ token, 0x85ebca6b) + a;
      b ^= b >>> 13;
    }
    hashes[block] = (mix(a ^ b) & 0x1fffff) * 0x1_0000_0000 + (mix(b) >>> 0);
  }
  return hashes;
}

/** A 32-bit salt from text (FNV-1a); 0 for the empty text. */
export function saltOf(text: string): number {
  if (text === '') return 0;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash | 0;
}

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}
