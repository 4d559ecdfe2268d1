import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockKeys } from '../../../src/scheduler/block-keys.ts';
import { BlockPool } from '../../../src/scheduler/block-pool.ts';

function keysFor(count: number, first = 0): BlockKeys {
  const keys = new BlockKeys(1, count);
  for (let block = 0; block < count; block += 1) keys.push(first + block);
  return keys;
}

describe('block pool', () => {
  it('finds a block by its key after it was freed, until it is given out again', () => {
    const pool = new BlockPool(2);
    const keys = keysFor(1);
    const block = pool.allocate();
    pool.store(block, keys, 0);
    pool.release(block);
    expect(pool.find(keys.lo[0]!, keys.hi[0]!)).toBe(block);
    expect(pool.allocate()).not.toBe(block);
    expect(pool.allocate()).toBe(block);
    expect(pool.find(keys.lo[0]!, keys.hi[0]!)).toBe(-1);
  });

  it('evicts the least recently used cached block, blank ones first', () => {
    const removed: number[] = [];
    const pool = new BlockPool(3, { removed: (lo) => removed.push(lo) });
    const keys = keysFor(3);
    const blocks = [pool.allocate(), pool.allocate(), pool.allocate()];
    for (const index of [0, 1]) pool.store(blocks[index]!, keys, index);
    for (const block of blocks) pool.release(block);
    expect(pool.allocate()).toBe(blocks[2]);
    pool.acquire(blocks[0]!);
    pool.release(blocks[0]!);
    pool.allocate();
    expect(removed).toEqual([keys.lo[1]]);
  });

  it('keeps one block per key', () => {
    const pool = new BlockPool(2);
    const keys = keysFor(1);
    const [a, b] = [pool.allocate(), pool.allocate()];
    pool.store(a, keys, 0);
    pool.store(b, keys, 0);
    expect(pool.cached).toBe(1);
    pool.release(b);
    pool.release(a);
    expect(pool.find(keys.lo[0]!, keys.hi[0]!)).toBe(a);
  });

  it('refuses to free a block twice and to give out what it does not have', () => {
    const pool = new BlockPool(1);
    const block = pool.allocate();
    expect(() => pool.allocate()).toThrow(RangeError);
    pool.release(block);
    expect(() => pool.release(block)).toThrow(RangeError);
  });

  it('behaves like a plain model of it under any sequence of operations', () => {
    const operation = fc.record({ kind: fc.constantFrom('take', 'store', 'free', 'hit'), at: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const size = 8;
        const live = new Map<string, number>();
        const pool = new BlockPool(size, {
          stored: (keys, index) => live.set(`${keys.lo[index]}:${keys.hi[index]}`, index),
          removed: (lo, hi) => expect(live.delete(`${lo}:${hi}`)).toBe(true),
        });
        const keys = keysFor(31);
        const references: number[] = [];
        for (const { kind, at } of operations) {
          if (kind === 'take' && pool.free > 0) references.push(pool.allocate());
          if (kind === 'store' && references.length > 0) pool.store(references[at % references.length]!, keys, at);
          if (kind === 'free' && references.length > 0) pool.release(references.splice(at % references.length, 1)[0]!);
          if (kind === 'hit') {
            const block = pool.find(keys.lo[at]!, keys.hi[at]!);
            expect(block >= 0).toBe(live.has(`${keys.lo[at]}:${keys.hi[at]}`));
            if (block >= 0) {
              pool.acquire(block);
              references.push(block);
            }
          }
          expect(pool.free).toBe(size - new Set(references).size);
          expect(pool.cached).toBe(live.size);
        }
      }),
    );
  });
});
