import { describe, expect, it } from 'vitest';
import { PairQuarantine } from '../../../../src/frontend/transfer/pair-quarantine.ts';

const p0 = { name: 'prefill-0', generation: 1 };
const p1 = { name: 'prefill-1', generation: 1 };
const d0 = { name: 'decode-0', generation: 4 };

describe('PairQuarantine', () => {
  it('holds one pair for its time, and again from a second failure', () => {
    const quarantine = new PairQuarantine(1_000);
    expect(quarantine.isEmpty(0)).toBe(true);
    quarantine.add(p0, d0, 'why', 100);
    expect(quarantine.has(p0, d0, 1_099)).toBe(true);
    expect(quarantine.has(p1, d0, 100)).toBe(false);
    quarantine.add(p0, d0, 'again', 600);
    expect(quarantine.list(1_100)).toEqual([
      { prefill: 'prefill-0', decode: 'decode-0', reason: 'again', remainingMs: 500 },
    ]);
    expect(quarantine.has(p0, d0, 1_600)).toBe(false);
    expect(quarantine.list(1_600)).toEqual([]);
  });

  it('concerns one incarnation: a restarted worker is free, a dropped one forgotten', () => {
    const quarantine = new PairQuarantine(1_000);
    quarantine.add(p0, d0, 'why', 0);
    quarantine.add(p1, d0, 'why', 0);
    expect(quarantine.has(p0, { ...d0, generation: 5 }, 1)).toBe(false);
    quarantine.forget(p0);
    expect(quarantine.list(1).map(({ prefill }) => prefill)).toEqual(['prefill-1']);
    quarantine.forget({ ...d0, generation: 5 });
    expect(quarantine.isEmpty(1)).toBe(false);
    quarantine.forget(d0);
    expect(quarantine.isEmpty(1)).toBe(true);
  });
});
