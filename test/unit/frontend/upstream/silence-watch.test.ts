import { describe, expect, it } from 'vitest';
import type { Origin } from '../../../../src/frontend/upstream/connection.ts';
import { SilenceWatch, TICK_MS, type Waiting } from '../../../../src/frontend/upstream/silence-watch.ts';

const at = (name: string): Origin => ({ authority: `${name}:8000`, hostname: name, port: 8000 });

/** A watch under a clock of its own, with the attempts to connect that it has under way. */
function begin() {
  const told: string[] = [];
  const doubted: string[] = [];
  const avoided = new Set<Origin>();
  const knocks: { origin: Origin; answered: () => void; isOut: boolean; ended: boolean }[] = [];
  const watch = new SilenceWatch({
    knock(origin, answered) {
      const one = {
        origin,
        answered,
        isOut: true,
        ended: false,
        end() {
          one.ended = true;
        },
      };
      knocks.push(one);
      return one;
    },
    doubted: (origin) => void doubted.push(origin.hostname),
    silent(origin, sinceMs) {
      told.push(`${origin.hostname} since ${sinceMs}`);
      avoided.add(origin);
    },
    isAvoided: (origin) => avoided.has(origin),
  });
  let nowMs = 10_000;
  return {
    ...{ watch, told, doubted, avoided, knocks },
    pending: () => knocks.filter(({ ended }) => !ended),
    now: () => nowMs,
    /** Ticks with these requests under way. */
    ticks(count: number, requests: () => Waiting[]) {
      for (let tick = 0; tick < count; tick += 1) {
        nowMs += TICK_MS;
        watch.tick(requests(), nowMs);
      }
    },
  };
}

const waiting = (origin: Origin, activeAtMs: number, more: Partial<Waiting> = {}): Waiting => ({
  ...{ origin, activeAtMs, partner: undefined, gotBytes: false },
  ...more,
});

describe('SilenceWatch', () => {
  const a = at('a');
  const b = at('b');

  it('asks nobody while answers come', () => {
    const it = begin();
    it.ticks(50, () => [waiting(a, it.now() - 100, { gotBytes: true }), waiting(a, 0), waiting(b, it.now() - 300)]);
    expect(it.knocks).toEqual([]);
  });

  it('calls a machine silent that answers none of its attempts, a second after a request began to wait in vain', () => {
    const it = begin();
    const sent = it.now();
    it.ticks(6, () => [waiting(a, sent)]);
    expect([it.told, it.doubted, it.pending().length]).toEqual([[], ['a'], 5]);
    it.ticks(1, () => [waiting(a, sent)]);
    expect(it.told).toEqual([`a since ${sent}`]);
    expect([it.watch.isSilent(a), it.watch.isSilent(b), it.watch.foundAny]).toEqual([true, false, true]);
    expect(it.now() - sent).toBeLessThan(1_600);
    expect(it.pending()).toEqual([]);
  });

  it('believes every answer, asks again only a second later, and never gives up believing', () => {
    const it = begin();
    const sent = it.now();
    for (let second = 0; second < 120; second += 1) {
      it.ticks(5, () => [waiting(a, sent)]);
      for (const one of it.pending()) one.answered();
    }
    expect(it.told).toEqual([]);
    expect(it.knocks.length).toBeGreaterThan(80);
    expect(it.knocks.length).toBeLessThan(240);
  });

  it('is silent since it was found quiet, not since the oldest request was sent', () => {
    const it = begin();
    const sent = it.now();
    it.ticks(7, () => [waiting(a, sent - 300_000, { gotBytes: true }), waiting(a, sent)]);
    expect(it.told).toEqual([`a since ${sent - 200}`]);
    expect([it.watch.silentForMs(a), it.watch.silentForMs(b)]).toEqual([it.now() - sent + 200, 0]);
  });

  it('counts its own ticks, not the clock: a frontend that stood still blames nobody', () => {
    const it = begin();
    it.ticks(3, () => [waiting(a, 0)]);
    it.watch.tick([waiting(a, 0)], it.now() + 60_000);
    expect(it.told).toEqual([]);
  });

  it('does not count attempts that have not left this machine', () => {
    const it = begin();
    for (let tick = 0; tick < 20; tick += 1) {
      it.ticks(1, () => [waiting(a, 0)]);
      for (const one of it.knocks) one.isOut = false;
    }
    expect(it.told).toEqual([]);
  });

  it('asks for the partner of a request, too', () => {
    const it = begin();
    for (let tick = 0; tick < 10; tick += 1) {
      it.ticks(1, () => [waiting(a, 0, { partner: b })]);
      for (const one of it.pending()) if (one.origin === a) one.answered();
    }
    expect(it.told).toEqual(['b since 9800']);
  });

  it('forgets when something comes after all, or nobody waits any more', () => {
    const it = begin();
    it.ticks(4, () => [waiting(a, 0)]);
    it.ticks(1, () => [waiting(a, it.now(), { gotBytes: true }), waiting(a, 0)]);
    expect(it.pending()).toEqual([]);
    it.ticks(4, () => [waiting(a, 0)]);
    it.ticks(1, () => []);
    expect([it.pending(), it.told]).toEqual([[], []]);
  });

  it('is silent until requests go there again, and is asked anew then', () => {
    const it = begin();
    it.ticks(7, () => [waiting(a, 0)]);
    it.ticks(20, () => []);
    expect(it.watch.isSilent(a)).toBe(true);
    it.avoided.clear();
    it.ticks(1, () => [waiting(a, 0)]);
    expect([it.watch.isSilent(a), it.pending().length]).toEqual([false, 1]);
    it.ticks(6, () => [waiting(a, 0)]);
    expect(it.told).toHaveLength(2);
  });

  it('asks nothing once it is closed', () => {
    const it = begin();
    it.ticks(3, () => [waiting(a, 0)]);
    it.watch.close();
    expect(it.pending()).toEqual([]);
  });
});
