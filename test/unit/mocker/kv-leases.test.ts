import { describe, expect, it } from 'vitest';
import { KvLeases } from '../../../src/mocker/kv-leases.ts';
import type { ClaimReply } from '../../../src/mocker/side-channel-protocol.ts';

const content: ClaimReply = { ok: true, num_tokens: 5, prefix: [1, 2], last_token: 3 };
const overwritten: ClaimReply = { ...content, prefix: [9, 9] };

function create() {
  let now = 0;
  const freed: string[] = [];
  const expired: string[] = [];
  const leases = new KvLeases({ durationMs: 30_000, now: () => now, onExpire: (id) => expired.push(id) });
  const hold = (id: string) =>
    leases.hold(id, { content, release: () => freed.push(id), readAfterRelease: () => overwritten });
  return {
    leases,
    freed,
    expired,
    hold,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('KV leases', () => {
  it('gives the content until the reader is done, then frees once', () => {
    const { leases, freed, hold } = create();
    hold('a');
    expect([leases.heldCount, leases.claim('a'), leases.claim('a')]).toEqual([1, content, content]);
    expect([leases.release('a'), leases.release('a'), leases.release('unknown')]).toEqual([true, true, false]);
    expect([freed, leases.heldCount]).toEqual([['a'], 0]);
  });

  it('answers a second use with what the blocks hold by then', () => {
    const { leases, hold } = create();
    hold('a');
    leases.release('a');
    expect(leases.claim('a')).toEqual(overwritten);
  });

  it('frees what nobody read when its time is over, and says when to look next', () => {
    const { leases, freed, expired, hold, pass } = create();
    hold('a');
    pass(10_000);
    hold('b');
    expect(leases.expire()).toBe(20_000);
    pass(20_000);
    expect(leases.expire()).toBe(10_000);
    expect([freed, expired]).toEqual([['a'], ['a']]);
    expect(leases.claim('a')).toMatchObject({ ok: false, error: expect.stringContaining('expired') });
    expect(leases.release('a')).toBe(true);
    pass(10_000);
    expect(leases.expire()).toBeUndefined();
    expect(freed).toEqual(['a', 'b']);
  });

  it('is put off by heartbeats, never brought forward', () => {
    const { leases, hold, pass } = create();
    hold('a');
    leases.heartbeat('a');
    expect(leases.expire()).toBe(30_000);
    pass(25_000);
    expect(leases.heartbeat('a')).toBe(true);
    expect(leases.expire()).toBe(20_000);
    pass(20_000);
    leases.expire();
    expect([leases.heartbeat('a'), leases.heartbeat('unknown')]).toEqual([false, false]);
  });

  it('forgets the oldest of very many', () => {
    const { leases, hold } = create();
    for (let index = 0; index < 5_000; index += 1) {
      hold(String(index));
      leases.release(String(index));
    }
    expect(leases.claim('0')).toMatchObject({ ok: false });
    expect(leases.claim('4999')).toMatchObject({ ok: true });
  });
});
