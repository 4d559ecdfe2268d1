import { describe, expect, it } from 'vitest';
import { SharedReading } from '../../../../src/frontend/transfer/shared-reading.ts';

/** Readings that end when told, on a clock that stands unless moved. */
function setUp(minGapMs = 0) {
  const pending: { resolve(value: number): void; reject(error: Error): void }[] = [];
  const pauses: number[] = [];
  const clock = { nowMs: 1_000 };
  const reading = new SharedReading<number>(() => new Promise((resolve, reject) => pending.push({ resolve, reject })), {
    minGapMs,
    now: () => clock.nowMs,
    pause: async (ms) => {
      pauses.push(ms);
      clock.nowMs += ms;
    },
  });
  return { reading, pending, pauses, clock };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('fresh', () => {
  it('never gives a reading that began before the call, and begins one for all who wait', async () => {
    const { reading, pending } = setUp();
    const first = reading.fresh();
    const second = reading.fresh();
    const third = reading.fresh();
    expect(pending).toHaveLength(1);
    pending[0]!.resolve(1);
    expect(await first).toBe(1);
    await settled();
    expect(pending).toHaveLength(2);
    pending[1]!.resolve(2);
    expect(await Promise.all([second, third])).toEqual([2, 2]);
    expect(pending).toHaveLength(2);
  });

  it('goes on after a failure', async () => {
    const { reading, pending } = setUp();
    const first = reading.fresh();
    const second = reading.fresh();
    pending[0]!.reject(new Error('no answer'));
    await expect(first).rejects.toThrow('no answer');
    await settled();
    pending[1]!.resolve(2);
    expect(await second).toBe(2);
  });

  it('keeps a gap between the beginnings of two', async () => {
    const { reading, pending, pauses, clock } = setUp(50);
    const first = reading.fresh();
    pending[0]!.resolve(1);
    await first;
    clock.nowMs += 20;
    const second = reading.fresh();
    await settled();
    expect(pauses).toEqual([30]);
    pending[1]!.resolve(2);
    expect(await second).toBe(2);
  });
});

describe('recent', () => {
  it('takes what is young enough, also while it is under way', async () => {
    const { reading, pending, clock } = setUp();
    const first = reading.recent(100);
    const joined = reading.recent(100);
    pending[0]!.resolve(1);
    expect(await Promise.all([first, joined])).toEqual([1, 1]);
    clock.nowMs += 100;
    expect(await reading.recent(100)).toBe(1);
    clock.nowMs += 1;
    const later = reading.recent(100);
    pending[1]!.resolve(2);
    expect(await later).toBe(2);
  });
});
