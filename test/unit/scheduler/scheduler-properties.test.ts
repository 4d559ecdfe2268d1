import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockKeys } from '../../../src/scheduler/block-keys.ts';
import type { ScheduledRequest } from '../../../src/scheduler/request.ts';
import { Scheduler, type SchedulerConfig } from '../../../src/scheduler/scheduler.ts';

const BLOCK = 4;

interface Job {
  prompt: number[];
  output: number;
  /** Steps that pass before it arrives. */
  after: number;
  /** Steps after its arrival until its client goes away; none for most. */
  abortAfter: number | null;
  mode: 'plain' | 'hold' | 'load' | 'load-fails';
}

const job: fc.Arbitrary<Job> = fc.record({
  // Few distinct tokens, so that prefixes are shared.
  prompt: fc.array(fc.nat(1), { minLength: 1, maxLength: 40 }),
  output: fc.integer({ min: 1, max: 20 }),
  after: fc.nat(6),
  abortAfter: fc.option(fc.nat(12), { freq: 6 }),
  mode: fc.constantFrom('plain', 'plain', 'plain', 'hold', 'load', 'load-fails'),
});

const configs: fc.Arbitrary<SchedulerConfig> = fc.record({
  blockSize: fc.constant(BLOCK),
  totalBlocks: fc.integer({ min: 15, max: 40 }),
  maxNumSeqs: fc.integer({ min: 1, max: 6 }),
  maxNumBatchedTokens: fc.integer({ min: 1, max: 70 }),
});

interface Outcome {
  produced: number[];
  aborted: boolean[];
  trace: string;
  scheduler: Scheduler<number>;
}

/** Runs jobs to their end, checking what must hold after every step. */
function run(config: SchedulerConfig, jobs: readonly Job[]): Outcome {
  const scheduler = new Scheduler<number>(config);
  const requests: ScheduledRequest<number>[] = [];
  const produced = jobs.map(() => 0);
  const aborted = jobs.map(() => false);
  const finished = jobs.map(() => 0);
  const trace: string[] = [];
  let arrival = 0;
  const arrivals = jobs.map(({ after }) => {
    arrival += after;
    return arrival;
  });
  const loads: ScheduledRequest<number>[] = [];
  for (let step = 0; ; step += 1) {
    for (const [index, at] of arrivals.entries()) {
      const { prompt, output, mode, abortAfter } = jobs[index]!;
      if (at === step) {
        const keys = new BlockKeys(BLOCK);
        keys.pushAll(prompt);
        requests[index] = scheduler.add({
          promptTokens: prompt.length,
          outputTokens: output,
          keys,
          holdsBlocks: mode === 'hold',
          loadsRemotely: mode.startsWith('load'),
          owner: index,
        });
      }
      if (abortAfter !== null && at + abortAfter === step && requests[index]!.state !== 'finished') {
        aborted[index] = requests[index]!.state !== 'held';
        scheduler.abort(requests[index]!);
      }
    }
    // What began to load a step ago arrives now; held blocks are read a step later too.
    for (const request of loads.splice(0)) {
      if (jobs[request.owner]!.mode === 'load') scheduler.loaded(request);
      else scheduler.loadFailed(request);
    }
    for (const request of requests) if (request?.state === 'held') scheduler.abort(request);

    const plan = scheduler.begin();
    const tokens = scheduler.running.reduce((sum, request) => sum + request.scheduled, 0);
    expect(tokens).toBeLessThanOrEqual(config.maxNumBatchedTokens);
    expect(scheduler.running.length).toBeLessThanOrEqual(config.maxNumSeqs);
    expect(plan.durationMs > 0).toBe(tokens > 0);
    loads.push(...plan.loading);
    const result = scheduler.end();
    for (const request of result.produced) {
      produced[request.owner]! += 1;
      request.keys?.push(request.owner);
    }
    for (const request of result.finished) finished[request.owner]! += 1;
    trace.push(`${result.durationMs}|${result.produced.map((one) => one.owner).join()}`);
    expectNoLeak(scheduler, requests);
    if (step > arrival && !scheduler.hasWork && loads.length === 0) break;
    expect(step).toBeLessThan(20_000);
  }
  for (const request of requests) if (request.state === 'held') scheduler.abort(request);
  for (const [index, count] of finished.entries()) expect(count + (aborted[index] ? 1 : 0)).toBe(1);
  return { produced, aborted, trace: trace.join('\n'), scheduler };
}

/** Every block somebody has is counted as active, and no other. */
function expectNoLeak(scheduler: Scheduler<number>, requests: readonly ScheduledRequest<number>[]): void {
  const inUse = new Set<number>();
  for (const request of requests) {
    for (const block of request?.blocks.subarray(0, request.blockCount) ?? []) inUse.add(block);
  }
  expect(scheduler.stats().activeBlocks).toBe(inUse.size);
}

describe('scheduler, whatever the load', () => {
  it('keeps to its limits, leaks no block, and gives every request exactly its output length', () => {
    fc.assert(
      fc.property(configs, fc.array(job, { minLength: 1, maxLength: 25 }), (config, jobs) => {
        const { produced, aborted, scheduler } = run(config, jobs);
        for (const [index, { output }] of jobs.entries()) {
          if (aborted[index]) expect(produced[index]).toBeLessThanOrEqual(output);
          else expect(produced[index]).toBe(output);
        }
        expect(scheduler.stats()).toMatchObject({ activeBlocks: 0, running: 0, waiting: 0, loading: 0, held: 0 });
      }),
      { numRuns: 400 },
    );
  });

  it('does the same again with the same input', () => {
    fc.assert(
      fc.property(configs, fc.array(job, { minLength: 1, maxLength: 15 }), (config, jobs) => {
        expect(run(config, jobs).trace).toBe(run(config, jobs).trace);
      }),
      { numRuns: 50 },
    );
  });

  it('survives pressure that preempts again and again', () => {
    const jobs: Job[] = Array.from({ length: 30 }, (_, index) => ({
      prompt: Array.from({ length: 8 + (index % 5) }, (_, at) => at + index),
      output: 20,
      after: 0,
      abortAfter: null,
      mode: 'plain',
    }));
    const config = { blockSize: BLOCK, totalBlocks: 15, maxNumSeqs: 6, maxNumBatchedTokens: 32 };
    const { produced, scheduler } = run(config, jobs);
    expect(new Set(produced)).toEqual(new Set([20]));
    expect(scheduler.stats().preemptions).toBeGreaterThan(5);
  });
});
