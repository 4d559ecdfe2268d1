import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockKeys } from '../../../src/scheduler/block-keys.ts';

function keysOf(tokens: readonly number[], blockSize = 4): string[] {
  const keys = new BlockKeys(blockSize, 1);
  keys.pushAll(tokens);
  return Array.from({ length: keys.count }, (_, index) => `${keys.lo[index]}:${keys.hi[index]}`);
}

describe('block keys', () => {
  it('names full blocks only', () => {
    expect(keysOf([1, 2, 3])).toHaveLength(0);
    expect(keysOf([1, 2, 3, 4, 5])).toHaveLength(1);
  });

  it('agrees exactly as far as the tokens do', () => {
    const tokens = fc.array(fc.nat(3), { maxLength: 40 });
    fc.assert(
      fc.property(tokens, tokens, (a, b) => {
        const [keysA, keysB] = [keysOf(a), keysOf(b)];
        for (let block = 0; block < Math.min(keysA.length, keysB.length); block += 1) {
          const end = (block + 1) * 4;
          const equal = a.slice(0, end).join() === b.slice(0, end).join();
          expect(keysA[block] === keysB[block]).toBe(equal);
        }
      }),
    );
  });

  it('does not collide over a million blocks', () => {
    const seen = new Set<number>();
    const keys = new BlockKeys(1, 1_000_000);
    for (let token = 0; token < 1_000_000; token += 1) keys.push(token % 7);
    for (let block = 0; block < keys.count; block += 1) {
      seen.add((keys.lo[block]! >>> 0) + (keys.hi[block]! & 0x1fffff) * 2 ** 32);
    }
    expect(seen.size).toBe(1_000_000);
  });
});
