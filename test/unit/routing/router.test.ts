import { describe, expect, it } from 'vitest';
import { hashBlocks } from '../../../src/routing/block-hash.ts';
import type { RouteRequest, RouterMode } from '../../../src/routing/policy.ts';
import { ROUTER_MODES } from '../../../src/routing/policy.ts';
import { seededRandom } from '../../../src/routing/random.ts';
import type { Router } from '../../../src/routing/router.ts';
import { createRoleRouter } from '../../../src/routing/router-roles.ts';

const BLOCK = 64;

function router(
  mode: RouterMode,
  workers: number,
  options: { seed?: number; role?: 'aggregated' | 'prefill' | 'decode' } = {},
): Router {
  const made = createRoleRouter(options.role ?? 'aggregated', {
    mode,
    blockSize: BLOCK,
    weights: { overlapScoreCredit: 1, prefillLoadScale: 1 },
    temperature: 0,
    ttlMs: 120_000,
    random: seededRandom(options.seed ?? 1),
  });
  for (let index = 0; index < workers; index += 1) made.addWorker({ id: `w${index}`, generation: 1 });
  return made;
}

/** A prompt of `shared` tokens that all prompts of one `family` have, then tokens of its own. */
function prompt(own: number, tokens: number, shared = 0, family = 0): RouteRequest {
  const random = seededRandom(own * 7_919 + 13);
  const common = seededRandom(family + 1_000_003);
  const ids = Uint32Array.from({ length: tokens }, (_, index) => (index < shared ? common() : random()) * 2 ** 32);
  return { blocks: hashBlocks(ids, BLOCK), promptTokens: tokens };
}

/** Sends one request through to its end and returns the worker. */
function serve(target: Router, request: RouteRequest, nowMs: number): string {
  const selection = target.select(request, { nowMs })!;
  target.book(selection, request, nowMs).end();
  return selection.worker;
}

const countBy = (picks: string[]) => {
  const counts: Record<string, number> = {};
  for (const pick of picks) counts[pick] = (counts[pick] ?? 0) + 1;
  return counts;
};

describe('Router, any mode', () => {
  it.each(ROUTER_MODES)(
    '%s: none eligible gives none; pins and filters are obeyed; the choice explains itself',
    (mode) => {
      const target = router(mode, 3);
      const request = prompt(1, 640);
      expect(router(mode, 0).select(request, { nowMs: 0 })).toBeUndefined();
      expect(target.select(request, { nowMs: 0, eligible: () => false })).toBeUndefined();
      expect(target.select(request, { nowMs: 0, pinned: 'w2' })?.worker).toBe('w2');
      expect(target.select(request, { nowMs: 0, pinned: 'gone' })).toBeUndefined();
      if (mode === 'direct') {
        expect(() => target.select(request, { nowMs: 0 })).toThrow(/trusted worker pin/);
        return;
      }
      const selection = target.select(request, { nowMs: 0, eligible: (id) => id !== 'w1' })!;
      expect(selection).toMatchObject({ mode, candidates: ['w0', 'w2'], promptTokens: 640 });
      expect(selection.candidates).toContain(selection.worker);
      expect(selection.reason).not.toBe('');
    },
  );

  it.each(['round-robin', 'random', 'least-loaded', 'power-of-two', 'kv'] as const)(
    '%s spreads unrelated sequential requests',
    (mode) => {
      const target = router(mode, 4);
      const counts = countBy(Array.from({ length: 400 }, (_, index) => serve(target, prompt(index, 640), index * 10)));
      for (const id of ['w0', 'w1', 'w2', 'w3']) expect(counts[id]).toBeGreaterThan(60);
    },
  );

  it.each(['random', 'least-loaded', 'power-of-two', 'kv', 'round-robin'] as const)(
    '%s: routers with their own seeds do not all begin with the same worker',
    (mode) => {
      const first = Array.from(
        { length: 32 },
        (_, seed) => router(mode, 4, { seed }).select(prompt(1, 640), { nowMs: 0 })!.worker,
      );
      expect(Object.keys(countBy(first)).length).toBe(4);
      expect(Math.max(...Object.values(countBy(first)))).toBeLessThan(20);
    },
  );

  it('repeats itself with the same seed', () => {
    const run = () => {
      const target = router('kv', 4, { seed: 9 });
      return Array.from({ length: 100 }, (_, index) => serve(target, prompt(index % 20, 640), index));
    };
    expect(run()).toEqual(run());
  });
});

describe('load', () => {
  it('least-loaded and power-of-two avoid the busy worker', () => {
    for (const mode of ['least-loaded', 'power-of-two'] as const) {
      const target = router(mode, 2);
      const request = prompt(1, 640);
      const busy = target.select(request, { nowMs: 0 })!;
      const booking = target.book(busy, request, 0);
      for (let index = 0; index < 20; index += 1) expect(serve(target, prompt(index + 2, 64), 1)).not.toBe(busy.worker);
      booking.end();
      expect(target.workers().every(({ load }) => load.activeRequests === 0)).toBe(true);
    }
  });

  it('charges uncached prefill until the first token and blocks until the end, each once', () => {
    const target = router('kv', 1);
    const request = prompt(1, 1_000);
    const load = target.workers()[0]!.load;
    const first = target.book(target.select(request, { nowMs: 0 })!, request, 0);
    expect([load.activePrefillTokens, load.activeBlocks, load.activeRequests]).toEqual([1_000, 16, 1]);
    // The same prompt again: its 15 full blocks are expected in cache, and counted once.
    const second = target.book(target.select(request, { nowMs: 1 })!, request, 1);
    expect([load.activePrefillTokens, load.activeBlocks, load.activeRequests]).toEqual([1_040, 17, 2]);
    first.firstToken();
    first.firstToken();
    expect(load.activePrefillTokens).toBe(40);
    first.end();
    first.end();
    expect([load.activeBlocks, load.activeRequests]).toEqual([16, 1]);
    second.end();
    expect([load.activePrefillTokens, load.activeBlocks, load.activeRequests]).toEqual([0, 0, 0]);
  });

  it('balances tokens, not requests, across workers that are idle between requests', () => {
    const target = router('kv', 2);
    const tokens: Record<string, number> = { w0: 0, w1: 0 };
    for (let index = 0; index < 300; index += 1) {
      const request = prompt(index, index % 3 === 0 ? 6_400 : 640);
      tokens[serve(target, request, index * 50)]! += request.promptTokens;
    }
    expect(Math.abs(tokens['w0']! - tokens['w1']!)).toBeLessThan(0.1 * (tokens['w0']! + tokens['w1']!));
  });

  it('prefill workers are judged by queued prefill, decode workers by running blocks', () => {
    const request = prompt(1, 640);
    const prefill = router('kv', 2, { role: 'prefill' });
    const busy = prefill.select(request, { nowMs: 0 })!;
    prefill.book(busy, request, 0);
    expect(prefill.select(prompt(2, 640), { nowMs: 0 })!.worker).not.toBe(busy.worker);
    expect(prefill.select(prompt(2, 640), { nowMs: 0 })!.costs.map(({ decodeBlocks }) => decodeBlocks)).toEqual([0, 0]);
    const decode = router('kv', 2, { role: 'decode' });
    const loaded = decode.select(request, { nowMs: 0 })!;
    decode.book(loaded, request, 0);
    // The same prompt again: what is cached there earns nothing, what runs there costs.
    const next = decode.select(request, { nowMs: 0 })!;
    expect(next.worker).not.toBe(loaded.worker);
    expect(next.costs.map(({ rawPrefillBlocks, overlapBlocks }) => [rawPrefillBlocks, overlapBlocks])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});

describe('kv mode', () => {
  it('sends a continued conversation where its prefix is, and explains the terms', () => {
    const target = router('kv', 4);
    const turn = prompt(1, 1_280);
    const home = serve(target, turn, 0);
    for (let other = 2; other < 12; other += 1) serve(target, prompt(other, 1_280), other);
    const longer: RouteRequest = {
      blocks: hashBlocks(
        Uint32Array.from({ length: 1_920 }, (_, index) => index),
        BLOCK,
      ),
      promptTokens: 1_920,
    };
    longer.blocks.set(turn.blocks, 0);
    const selection = target.select(longer, { nowMs: 20 })!;
    expect(selection).toMatchObject({ worker: home, overlapBlocks: 20, reason: 'lowest cost' });
    const terms = selection.costs.find(({ worker }) => worker === home)!;
    expect(terms).toMatchObject({ rawPrefillBlocks: 30, creditedOverlapBlocks: 20, decodeBlocks: 30, cost: 40 });
  });

  it('leaves a cached prefix when its worker is overloaded', () => {
    const target = router('kv', 2);
    const turn = prompt(1, 640);
    const home = serve(target, turn, 0);
    for (let other = 2; other < 8; other += 1) {
      const request = prompt(other, 6_400);
      target.book(target.select(request, { nowMs: 1, pinned: home })!, request, 1);
    }
    expect(target.select(turn, { nowMs: 2 })!.worker).not.toBe(home);
  });

  it.each([
    ['idle between requests', 0],
    ['eight at a time', 8],
  ])('a block shared by every request does not pull all traffic to one worker (%s)', (_, concurrency) => {
    const target = router('kv', 4);
    const running: (() => void)[] = [];
    const picks: string[] = [];
    for (let index = 0; index < 600; index += 1) {
      // Four of five blocks are a system prompt that everybody sends.
      const request = prompt(index, 320, 256);
      const selection = target.select(request, { nowMs: index * 20 })!;
      const booking = target.book(selection, request, index * 20);
      running.push(() => booking.end());
      if (running.length > concurrency) running.shift()!();
      if (index >= 100) picks.push(selection.worker);
    }
    const counts = countBy(picks);
    for (const id of ['w0', 'w1', 'w2', 'w3']) expect(counts[id]).toBeGreaterThan(75);
  });

  it('a restarted worker loses its blocks and its load; an older registration changes nothing', () => {
    const target = router('kv', 2);
    const turn = prompt(1, 1_280);
    const selection = target.select(turn, { nowMs: 0 })!;
    const booking = target.book(selection, turn, 0);
    target.addWorker({ id: selection.worker, generation: 2 });
    const fresh = target.workers().find(({ id }) => id === selection.worker)!;
    expect([fresh.memory.size, fresh.load.activeRequests]).toEqual([0, 0]);
    // What ran on the old process ends without touching the new one.
    booking.end();
    expect(fresh.load.activeRequests).toBe(0);
    target.addWorker({ id: selection.worker, generation: 1 });
    target.removeWorker(selection.worker, 1);
    expect(target.workers().find(({ id }) => id === selection.worker)?.generation).toBe(2);
    target.removeWorker(selection.worker, 2);
    expect(target.workers()).toHaveLength(1);
    // A selection for a worker that has gone meanwhile charges nobody.
    target.book(selection, turn, 1).end();
  });

  it('forgets blocks after the TTL', () => {
    const target = router('kv', 2);
    const turn = prompt(1, 1_280);
    serve(target, turn, 0);
    expect(target.select(turn, { nowMs: 119_000 })!.overlapBlocks).toBe(20);
    expect(target.select(turn, { nowMs: 121_000 })!.costs.every(({ overlapBlocks }) => overlapBlocks === 0)).toBe(true);
  });

  it('with a temperature draws among workers instead of taking the best', () => {
    const target = createRoleRouter('aggregated', {
      mode: 'kv',
      blockSize: BLOCK,
      weights: { overlapScoreCredit: 1, prefillLoadScale: 1 },
      temperature: 1,
      ttlMs: 120_000,
      random: seededRandom(5),
    });
    for (const id of ['a', 'b']) target.addWorker({ id, generation: 1 });
    const turn = prompt(1, 640);
    const home = serve(target, turn, 0);
    const counts = countBy(Array.from({ length: 500 }, () => target.select(turn, { nowMs: 1 })!.worker));
    expect(counts[home]! / 500).toBeGreaterThan(0.6);
    expect(counts[home]! / 500).toBeLessThan(0.9);
  });
});
