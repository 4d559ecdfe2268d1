import { describe, expect, it } from 'vitest';
import { applyAliases, type BenchFlags, readBenchOptions } from '../../../src/bench/bench-options.ts';

const flags = (given: Partial<BenchFlags> = {}): BenchFlags => ({
  streaming: true,
  arrivalPattern: 'poisson',
  benchmarkGracePeriod: '30',
  warmupRequestCount: '0',
  islStddev: '0',
  oslStddev: '0',
  speedupRatio: '1',
  traceBlockSize: '512',
  fixedSchedule: true,
  randomSeed: '0',
  requestTimeoutSeconds: '600',
  ignoreEos: true,
  useServerTokenCount: true,
  failedRequestThreshold: '0',
  ...given,
});

describe('readBenchOptions', () => {
  it('fills in defaults for each kind of load', () => {
    expect(readBenchOptions(flags())).toMatchObject({
      endpointType: 'chat',
      requestCount: 100,
      load: { kind: 'concurrency', concurrency: 1 },
    });
    expect(readBenchOptions(flags({ concurrency: '32' })).requestCount).toBe(320);
    expect(readBenchOptions(flags({ benchmarkDuration: '5' }))).toMatchObject({
      requestCount: undefined,
      durationMs: 5_000,
    });
    expect(readBenchOptions(flags({ requestRate: '2.5', concurrency: '4' })).load).toEqual({
      kind: 'rate',
      requestRate: 2.5,
      pattern: 'poisson',
      concurrency: 4,
    });
    expect(readBenchOptions(flags({ trace: 't' }))).toMatchObject({
      endpointType: 'completions',
      requestCount: undefined,
      load: { kind: 'schedule' },
    });
    expect(readBenchOptions(flags({ trace: 't', fixedSchedule: false, concurrency: '3' })).load).toEqual({
      kind: 'concurrency',
      concurrency: 3,
    });
  });

  it('reads extra inputs as JSON where they are, and as text otherwise', () => {
    const { extraInputs } = readBenchOptions(
      flags({ extraInputs: ['temperature:0.5', 'user:me', 'stop:["a"]', '{"n":1,"seed":2}', 'at:12:30'] }),
    );
    expect(extraInputs).toEqual({ temperature: 0.5, user: 'me', stop: ['a'], n: 1, seed: 2, at: '12:30' });
  });

  it('names the option that is wrong', () => {
    const wrong: [Partial<BenchFlags>, RegExp][] = [
      [{ concurrency: '0' }, /--concurrency: 0/],
      [{ concurrency: '1.5' }, /--concurrency/],
      [{ requestRate: '-1' }, /--request-rate/],
      [{ requestRate: '' }, /--request-rate/],
      [{ requestRate: '1', arrivalPattern: 'gamma' }, /--arrival-pattern: gamma is none of poisson, constant/],
      [{ endpointType: 'embeddings' }, /--endpoint-type/],
      [{ requestTimeoutSeconds: '1e9' }, /--request-timeout-seconds: 1e9/],
      [{ benchmarkDuration: '0' }, /--benchmark-duration/],
      [{ requestCount: 'ten' }, /--request-count: ten/],
      [{ trace: 't', speedupRatio: '0' }, /--speedup-ratio/],
      [{ trace: 't', isl: '5' }, /--isl and --osl are for synthetic/],
      [{ extraInputs: ['novalue'] }, /--extra-inputs/],
      [{ extraInputs: ['{bad'] }, /--extra-inputs/],
      [{ header: ['no colon'] }, /--header/],
      [{ header: ['A: b\r\nC: d'] }, /--header/],
      [{ apiKeyEnv: 'DYNAMO_TEST_UNSET_VARIABLE' }, /DYNAMO_TEST_UNSET_VARIABLE is not set/],
      [{ goodput: 'x:1' }, /--goodput/],
    ];
    for (const [given, message] of wrong)
      expect(() => readBenchOptions(flags(given)), JSON.stringify(given)).toThrow(message);
  });
});

describe('applyAliases', () => {
  it('takes AIPerf’s spelling over a default', () => {
    const merged = applyAliases({ ...flags(), syntheticInputTokensStddev: '9', outputTokensMean: '4' });
    expect(readBenchOptions(merged).lengths).toEqual({ isl: 550, islStddev: 9, osl: 4, oslStddev: 0 });
  });
});
