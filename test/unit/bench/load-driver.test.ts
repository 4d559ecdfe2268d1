import { afterEach, describe, expect, it, vi } from 'vitest';
import { driveLoad, type LoadOptions } from '../../../src/bench/load-driver.ts';
import type { PreparedRequest } from '../../../src/bench/prepared-request.ts';
import type { RequestRecord } from '../../../src/bench/request-record.ts';
import { waitFor } from '../../helpers/until.ts';
import { record } from './fixtures.ts';

/** A server that answers when told to. */
class Bench {
  readonly sent: { index: number; scheduledMs: number | null }[] = [];
  readonly records: RequestRecord[] = [];
  inFlight = 0;
  maxInFlight = 0;
  readonly abort = new AbortController();
  #next = 0;
  readonly #total: number;
  /** How one request is answered; by default after one turn of the event loop. */
  answer: (signal: AbortSignal) => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));

  constructor(total: number) {
    this.#total = total;
  }

  run(options: Partial<LoadOptions> & Pick<LoadOptions, 'shape'>) {
    return driveLoad({
      next: () => this.#request(),
      send: async (request, scheduledMs, signal) => {
        this.sent.push({ index: request.index, scheduledMs });
        this.inFlight += 1;
        this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
        await this.answer(signal);
        this.inFlight -= 1;
        return record({ index: request.index, outcome: signal.aborted ? 'cancelled' : 'ok' });
      },
      onRecord: (entry) => this.records.push(entry),
      durationMs: undefined,
      graceMs: 0,
      signal: this.abort.signal,
      now: () => performance.now(),
      ...options,
    });
  }

  #request(): PreparedRequest | undefined {
    if (this.#next >= this.#total) return undefined;
    this.#next += 1;
    return { index: this.#next - 1, requestId: '', asked: { isl: 1, osl: 1 }, bytes: Buffer.alloc(0) };
  }
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve())));
const offsets = (...values: number[]): Iterator<number> => values[Symbol.iterator]();

describe('driveLoad', () => {
  afterEach(() => void vi.useRealTimers());

  it('keeps exactly the asked number in flight in a closed loop', async () => {
    const bench = new Bench(50);
    const result = await bench.run({ shape: { kind: 'closed', concurrency: 7 } });
    expect(bench.maxInFlight).toBe(7);
    expect(bench.records.map(({ index }) => index).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
    expect(result.wasCancelled).toBe(false);
    expect(bench.sent.every(({ scheduledMs }) => scheduledMs === null)).toBe(true);
  });

  it('opens no more slots than there are requests', async () => {
    const bench = new Bench(3);
    await bench.run({ shape: { kind: 'closed', concurrency: 100 } });
    expect(bench.records).toHaveLength(3);
  });

  it('sends on schedule whether or not earlier requests are answered', async () => {
    const bench = new Bench(4);
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    bench.answer = () => {
      if (bench.sent.length === 4) release();
      return gate;
    };
    const result = await bench.run({ shape: { kind: 'open', offsets: offsets(0, 5, 5, 12), concurrency: undefined } });
    expect(bench.maxInFlight).toBe(4);
    expect(bench.sent.map(({ scheduledMs }) => Math.round(scheduledMs! - result.startMs))).toEqual([0, 5, 5, 12]);
  });

  it('never sends before its time', async () => {
    const bench = new Bench(20);
    const early: number[] = [];
    await bench.run({
      shape: { kind: 'open', offsets: offsets(...Array.from({ length: 20 }, (_, i) => i * 2)), concurrency: undefined },
      send: async (_request, scheduledMs) => {
        if (performance.now() < scheduledMs!) early.push(scheduledMs!);
        return record();
      },
    });
    expect(early).toEqual([]);
  });

  it('holds an open loop to its cap', async () => {
    const bench = new Bench(30);
    const turn = bench.answer;
    bench.answer = async (signal) => {
      for (let turns = 0; turns < 10; turns += 1) await turn(signal);
    };
    await bench.run({ shape: { kind: 'open', offsets: offsets(...Array(30).fill(0)), concurrency: 4 } });
    expect(bench.maxInFlight).toBe(4);
    expect(bench.records).toHaveLength(30);
  });

  it('ends with the shorter of schedule and requests', async () => {
    const bench = new Bench(2);
    await bench.run({ shape: { kind: 'open', offsets: offsets(0, 0, 0, 0), concurrency: undefined } });
    expect(bench.records).toHaveLength(2);
    const other = new Bench(9);
    await other.run({ shape: { kind: 'open', offsets: offsets(0, 0), concurrency: undefined } });
    expect(other.records).toHaveLength(2);
  });

  it('stops sending when the duration is over and cancels after the grace', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (const shape of [
      { kind: 'closed', concurrency: 3 } as const,
      { kind: 'open', offsets: offsets(0, 0, 0, 60_000), concurrency: undefined } as const,
    ]) {
      const bench = new Bench(1_000);
      let release = (): void => {};
      const first = new Promise<void>((resolve) => {
        release = resolve;
      });
      // The first is answered within the grace; the others never.
      bench.answer = (signal) => (bench.sent.length === 1 ? first : untilAborted(signal));
      const running = bench.run({ shape, durationMs: 5_000, graceMs: 2_000 });
      await waitFor('three requests in flight', () => bench.sent.length === 3);
      vi.advanceTimersByTime(5_000);
      release();
      await waitFor('the answer within the grace', () => bench.records.length === 1);
      vi.advanceTimersByTime(1_999);
      expect(bench.inFlight).toBe(2);
      vi.advanceTimersByTime(1);
      const result = await running;
      expect(bench.sent).toHaveLength(3);
      expect(bench.records.map(({ outcome }) => outcome)).toEqual(['ok', 'cancelled', 'cancelled']);
      expect(result.wasCancelled).toBe(false);
    }
  });

  it('cancels everything on the signal, before and during the run', async () => {
    const bench = new Bench(1_000);
    bench.answer = (signal) => {
      if (bench.sent.length === 5) bench.abort.abort();
      return untilAborted(signal);
    };
    const result = await bench.run({ shape: { kind: 'closed', concurrency: 5 } });
    expect(result.wasCancelled).toBe(true);
    expect(bench.records).toHaveLength(5);
    const dead = new Bench(10);
    dead.abort.abort();
    expect((await dead.run({ shape: { kind: 'closed', concurrency: 2 } })).wasCancelled).toBe(true);
    expect(dead.sent).toEqual([]);
  });
});
