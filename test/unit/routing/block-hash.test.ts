import { describe, expect, it } from 'vitest';
import { hashBlocks, saltOf } from '../../../src/routing/block-hash.ts';
import { seededRandom } from '../../../src/routing/random.ts';

const tokens = (length: number, seed = 1) => {
  const random = seededRandom(seed);
  return Uint32Array.from({ length }, () => random() * 2 ** 32);
};

describe('hashBlocks', () => {
  it('names prefixes: equal up to the first different token, different from there on', () => {
    const a = tokens(640);
    const b = Uint32Array.from(a);
    b[200] = b[200]! ^ 1;
    const [ha, hb] = [hashBlocks(a, 64), hashBlocks(b, 64)];
    expect(ha).toHaveLength(10);
    expect(hb.slice(0, 3)).toEqual(ha.slice(0, 3));
    for (let block = 3; block < 10; block += 1) expect(hb[block]).not.toBe(ha[block]);
  });

  it('counts full blocks only, and takes plain arrays', () => {
    expect(hashBlocks(tokens(63), 64)).toHaveLength(0);
    expect(hashBlocks(tokens(130), 64)).toEqual(hashBlocks(tokens(128), 64));
    expect(hashBlocks([...tokens(128)], 64)).toEqual(hashBlocks(tokens(128), 64));
  });

  it('gives exact integers below 2^53 without collisions, also for near-equal blocks', () => {
    const seen = new Set<number>();
    for (let value = 0; value < 200_000; value += 1) {
      const [hash] = hashBlocks([value & 0xff, value >>> 8], 2);
      if (Number.isSafeInteger(hash)) seen.add(hash!);
    }
    expect(seen.size).toBe(200_000);
  });

  it('keeps salts apart', () => {
    expect(hashBlocks(tokens(64), 64, saltOf('tenant-a'))).not.toEqual(hashBlocks(tokens(64), 64, saltOf('tenant-b')));
    expect(hashBlocks(tokens(64), 64, saltOf(''))).toEqual(hashBlocks(tokens(64), 64));
  });
});
