import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixMemory } from '../../../src/routing/prefix-memory.ts';

const blocks = (...hashes: number[]) => Float64Array.from(hashes);

/** The same thing, slow and plain: hashes in order of use, newest first. */
class Model {
  readonly ttlMs: number;
  readonly maxBlocks: number;
  order: { hash: number; atMs: number }[] = [];

  constructor(ttlMs: number, maxBlocks: number) {
    this.ttlMs = ttlMs;
    this.maxBlocks = maxBlocks;
  }

  touch(hashes: number[], nowMs: number): void {
    this.order = this.order.filter((entry) => entry.atMs >= nowMs - this.ttlMs);
    for (const hash of hashes.slice(0, this.maxBlocks).reverse()) {
      const known = this.order.some((entry) => entry.hash === hash);
      if (!known && this.order.length >= this.maxBlocks) this.order.pop();
      this.order = [{ hash, atMs: nowMs }, ...this.order.filter((entry) => entry.hash !== hash)];
    }
  }

  overlap(hashes: number[], nowMs: number): number {
    const miss = hashes.findIndex(
      (hash) => !this.order.some((entry) => entry.hash === hash && entry.atMs >= nowMs - this.ttlMs),
    );
    return miss < 0 ? hashes.length : miss;
  }
}

describe('PrefixMemory', () => {
  it('does what the plain model does, for any sequence of requests', () => {
    // Few distinct hashes, many of them in one slot, so that probing and closing gaps are exercised.
    const hash = fc.tuple(fc.nat(12), fc.nat(3)).map(([low, high]) => low * 512 + high * 0x1_0000_0000 + 5);
    const chain = fc.uniqueArray(hash, { maxLength: 9 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.array(fc.tuple(fc.boolean(), chain, fc.nat(40)), { maxLength: 60 }),
        (maxBlocks, steps) => {
          const memory = new PrefixMemory({ ttlMs: 100, maxBlocks });
          const model = new Model(100, maxBlocks);
          let nowMs = 0;
          for (const [isTouch, hashes, laterMs] of steps) {
            nowMs += laterMs;
            if (isTouch) {
              memory.touch(blocks(...hashes), nowMs);
              model.touch(hashes, nowMs);
              expect(memory.size).toBe(model.order.length);
            }
            expect(memory.overlap(blocks(...hashes), nowMs)).toBe(model.overlap(hashes, nowMs));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('stays within its bound over a long run and keeps what was used last', () => {
    const memory = new PrefixMemory({ ttlMs: 1e9, maxBlocks: 5_000 });
    for (let request = 0; request < 2_000; request += 1) {
      memory.touch(blocks(...Array.from({ length: 20 }, (_, index) => request * 4_099 + index)), request);
    }
    expect(memory.size).toBe(5_000);
    const last = Array.from({ length: 20 }, (_, index) => 1_999 * 4_099 + index);
    expect(memory.overlap(blocks(...last), 2_000)).toBe(20);
    expect(memory.overlap(blocks(0, 1), 2_000)).toBe(0);
  });

  it('evicts the end of a chain before its start', () => {
    const memory = new PrefixMemory({ ttlMs: 1e9, maxBlocks: 4 });
    memory.touch(blocks(1, 2, 3), 0);
    memory.touch(blocks(7, 8), 1);
    expect(memory.overlap(blocks(1, 2, 3), 1)).toBe(2);
  });

  it('forgets after the TTL and when cleared', () => {
    const memory = new PrefixMemory({ ttlMs: 1_000, maxBlocks: 10 });
    memory.touch(blocks(1, 2), 0);
    expect(memory.overlap(blocks(1, 2), 1_000)).toBe(2);
    expect(memory.overlap(blocks(1, 2), 1_001)).toBe(0);
    memory.touch(blocks(1), 2_000);
    expect(memory.size).toBe(1);
    memory.clear();
    expect(memory.overlap(blocks(1), 2_000)).toBe(0);
  });
});
