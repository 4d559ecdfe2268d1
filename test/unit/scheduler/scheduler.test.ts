import { describe, expect, it } from 'vitest';
import { BlockKeys } from '../../../src/scheduler/block-keys.ts';
import type { ScheduledRequest } from '../../../src/scheduler/request.ts';
import { Scheduler, type SchedulerConfig } from '../../../src/scheduler/scheduler.ts';
import { decodeMs, prefillMs } from '../../../src/scheduler/timing.ts';

const config: SchedulerConfig = { blockSize: 4, totalBlocks: 16, maxNumSeqs: 4, maxNumBatchedTokens: 16 };

function create(changes: Partial<SchedulerConfig> = {}): Scheduler<string> {
  return new Scheduler<string>({ ...config, ...changes });
}

function keys(tokens: readonly number[]): BlockKeys {
  const made = new BlockKeys(config.blockSize);
  made.pushAll(tokens);
  return made;
}

const range = (length: number, first = 0) => Array.from({ length }, (_, index) => first + index);
const names = (requests: readonly ScheduledRequest<string>[]) => requests.map((request) => request.owner);

describe('scheduler', () => {
  it('computes a prompt in chunks of the budget and gives the first token after the last chunk', () => {
    const scheduler = create();
    scheduler.add({ promptTokens: 40, outputTokens: 2, owner: 'a' });
    const steps = range(4).map(() => {
      const step = scheduler.step();
      return [step.prefillTokens, step.decodeRequests, step.produced.length, step.finished.length];
    });
    expect(steps).toEqual([
      [16, 0, 0, 0],
      [16, 0, 0, 0],
      [8, 0, 1, 0],
      [0, 1, 1, 1],
    ]);
    expect(scheduler.hasWork).toBe(false);
  });

  it('takes as long as the formulas say, divided by the speed-ups', () => {
    const scheduler = create({ speedupRatio: 2, decodeSpeedupRatio: 4 });
    scheduler.add({ promptTokens: 8, outputTokens: 3, owner: 'a' });
    expect(scheduler.step().durationMs).toBeCloseTo(prefillMs(8) / 2);
    expect(scheduler.step().durationMs).toBeCloseTo(decodeMs(9 / 64) / 8);
  });

  it('serves running requests before new ones and shares one budget', () => {
    const scheduler = create();
    scheduler.add({ promptTokens: 12, outputTokens: 5, owner: 'a' });
    scheduler.add({ promptTokens: 12, outputTokens: 5, owner: 'b' });
    expect(scheduler.step().prefillTokens).toBe(16);
    const second = scheduler.step();
    expect([second.prefillTokens, second.decodeRequests]).toEqual([8, 1]);
    expect(names(second.produced)).toEqual(['a', 'b']);
  });

  it('keeps to the limit of sequences', () => {
    const scheduler = create({ maxNumSeqs: 2 });
    for (const owner of ['a', 'b', 'c']) scheduler.add({ promptTokens: 2, outputTokens: 2, owner });
    expect(names(scheduler.step().produced)).toEqual(['a', 'b']);
    expect(names(scheduler.step().finished)).toEqual(['a', 'b']);
    expect(names(scheduler.step().produced)).toEqual(['c']);
  });

  it('waits for a whole prompt to fit when chunked prefill is off', () => {
    const scheduler = create({ enableChunkedPrefill: false });
    scheduler.add({ promptTokens: 10, outputTokens: 2, owner: 'a' });
    scheduler.add({ promptTokens: 10, outputTokens: 2, owner: 'b' });
    expect(names(scheduler.step().produced)).toEqual(['a']);
    expect(names(scheduler.step().produced)).toEqual(['a', 'b']);
    expect(() => scheduler.add({ promptTokens: 16, outputTokens: 1, owner: 'c' })).toThrow(RangeError);
  });

  it('reuses full blocks of an earlier prompt and always computes the last token', () => {
    const scheduler = create();
    const run = (prompt: number[]) => {
      const request = scheduler.add({ promptTokens: prompt.length, outputTokens: 1, keys: keys(prompt), owner: 'a' });
      while (request.state !== 'finished') scheduler.step();
      return request.cachedTokens;
    };
    expect(run(range(12))).toBe(0);
    expect(run(range(12))).toBe(8);
    expect(run([...range(12), 99])).toBe(12);
    expect(run([...range(6), 99, 98, 97])).toBe(4);
    expect(scheduler.stats()).toMatchObject({ prefixQueries: 46, prefixHits: 24, activeBlocks: 0 });
  });

  it('reuses nothing when told so', () => {
    const scheduler = create({ enablePrefixCaching: false });
    for (const owner of ['a', 'b']) {
      const request = scheduler.add({ promptTokens: 9, outputTokens: 1, keys: keys(range(9)), owner });
      scheduler.step();
      expect(request.cachedTokens).toBe(0);
    }
    expect(scheduler.stats().cachedBlocks).toBe(0);
  });

  it('preempts the youngest when blocks run out, and computes it again later', () => {
    const scheduler = create({ totalBlocks: 6 });
    const a = scheduler.add({ promptTokens: 8, outputTokens: 10, owner: 'a' });
    const b = scheduler.add({ promptTokens: 8, outputTokens: 10, owner: 'b' });
    const preempted: string[] = [];
    const finished: string[] = [];
    for (let step = 0; step < 60 && scheduler.hasWork; step += 1) {
      const result = scheduler.step();
      preempted.push(...names(result.preempted));
      finished.push(...names(result.finished));
    }
    expect(preempted[0]).toBe('b');
    expect(finished).toEqual(['a', 'b']);
    expect([a.produced, b.produced]).toEqual([10, 10]);
    expect(scheduler.stats()).toMatchObject({ activeBlocks: 0, preemptions: preempted.length });
  });

  it('refuses what can never fit', () => {
    expect(() => create().add({ promptTokens: 60, outputTokens: 5, owner: 'a' })).toThrow(/17 blocks needed, 16 exist/);
    expect(() => create().add({ promptTokens: 0, outputTokens: 5, owner: 'a' })).toThrow(RangeError);
  });

  it('frees blocks at once when a request is aborted, in whatever state', () => {
    const scheduler = create({ maxNumSeqs: 1 });
    const running = scheduler.add({ promptTokens: 8, outputTokens: 5, owner: 'running' });
    const waiting = scheduler.add({ promptTokens: 8, outputTokens: 5, owner: 'waiting' });
    scheduler.begin();
    scheduler.abort(running);
    scheduler.abort(waiting);
    expect(scheduler.end().produced).toEqual([]);
    expect(scheduler.stats()).toMatchObject({ running: 0, waiting: 0, activeBlocks: 0 });
    scheduler.abort(running);
    expect(scheduler.stats().activeBlocks).toBe(0);
  });

  it('holds the blocks of a finished request until they are released', () => {
    const scheduler = create();
    const request = scheduler.add({ promptTokens: 8, outputTokens: 1, holdsBlocks: true, owner: 'a' });
    expect(names(scheduler.step().finished)).toEqual(['a']);
    expect(request.state).toBe('held');
    expect(scheduler.stats()).toMatchObject({ held: 1, activeBlocks: 2, running: 0 });
    scheduler.abort(request);
    expect(scheduler.stats()).toMatchObject({ held: 0, activeBlocks: 0 });
  });

  it('waits while blocks are held and goes on when they are released', () => {
    const scheduler = create({ totalBlocks: 3 });
    const held = scheduler.add({ promptTokens: 8, outputTokens: 1, holdsBlocks: true, owner: 'a' });
    scheduler.step();
    scheduler.add({ promptTokens: 8, outputTokens: 1, owner: 'b' });
    expect(scheduler.step().durationMs).toBe(0);
    scheduler.abort(held);
    expect(names(scheduler.step().produced)).toEqual(['b']);
  });

  it('loads a prompt from elsewhere and computes only its last token', () => {
    const scheduler = create();
    const request = scheduler.add({ promptTokens: 10, outputTokens: 2, loadsRemotely: true, owner: 'a' });
    const step = scheduler.step();
    expect(names(step.loading)).toEqual(['a']);
    expect(step.durationMs).toBe(0);
    expect(scheduler.stats()).toMatchObject({ loading: 1, waiting: 1, activeBlocks: 3 });
    scheduler.loaded(request);
    expect(scheduler.step().prefillTokens).toBe(1);
    expect([request.cachedTokens, request.externalTokens]).toEqual([0, 10]);
    expect(names(scheduler.step().finished)).toEqual(['a']);
    expect(scheduler.stats().activeBlocks).toBe(0);
  });

  it('asks elsewhere only for what is not cached here', () => {
    const scheduler = create();
    scheduler.add({ promptTokens: 8, outputTokens: 1, keys: keys(range(8)), owner: 'a' });
    scheduler.step();
    const request = scheduler.add({
      promptTokens: 12,
      outputTokens: 1,
      keys: keys(range(12)),
      loadsRemotely: true,
      owner: 'b',
    });
    scheduler.step();
    expect([request.cachedTokens, request.externalTokens]).toEqual([8, 4]);
  });

  it('computes the prompt itself when loading fails', () => {
    const scheduler = create();
    const request = scheduler.add({ promptTokens: 10, outputTokens: 1, loadsRemotely: true, owner: 'a' });
    scheduler.step();
    scheduler.loadFailed(request);
    expect(scheduler.step().prefillTokens).toBe(10);
    expect(request.state).toBe('finished');
    expect(scheduler.stats()).toMatchObject({ loading: 0, activeBlocks: 0 });
  });

  it('ignores the end of a load that nobody waits for', () => {
    const scheduler = create();
    const request = scheduler.add({ promptTokens: 10, outputTokens: 1, loadsRemotely: true, owner: 'a' });
    scheduler.step();
    scheduler.abort(request);
    scheduler.loaded(request);
    scheduler.loadFailed(request);
    expect(scheduler.hasWork).toBe(false);
    expect(scheduler.stats()).toMatchObject({ loading: 0, activeBlocks: 0 });
  });
});
