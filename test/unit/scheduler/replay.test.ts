import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ReplayOptions,
  type ReplayRequest,
  replayTrace,
  type TraceRow,
  traceKeys,
} from '../../../src/scheduler/replay.ts';

const config = { blockSize: 64, totalBlocks: 1_024, maxNumSeqs: 64, maxNumBatchedTokens: 8_192 };

function rows(count: number): TraceRow[] {
  return Array.from({ length: count }, (_, index) => ({
    timestamp: index * 50,
    input_length: 1_100 + (index % 3) * 64,
    output_length: 5 + (index % 7),
    hash_ids: [index % 4, 100 + (index % 4), 1_000 + index],
  }));
}

function roundRobin(): ReplayOptions['pick'] {
  let next = 0;
  return (workers) => next++ % workers.length;
}

/** Sends a request where its first block went before. */
function sticky(): ReplayOptions['pick'] {
  const homes = new Map<number, number>();
  return (workers, request: ReplayRequest) => {
    const first = request.keys.lo[8]!;
    const home = homes.get(first) ?? homes.size % workers.length;
    homes.set(first, home);
    return home;
  };
}

describe('trace keys', () => {
  it('names full blocks, equal as far as the hash ids are', () => {
    const row = { timestamp: 0, input_length: 1_100, output_length: 1, hash_ids: [7, 8, 9] };
    const keys = traceKeys(row, 64);
    expect(keys.count).toBe(17);
    const other = traceKeys({ ...row, hash_ids: [7, 5, 9] }, 64);
    expect(other.lo.slice(0, 8)).toEqual(keys.lo.slice(0, 8));
    expect(other.lo[8]).not.toBe(keys.lo[8]);
  });

  it('refuses a block size that does not divide the trace’s', () => {
    expect(() => traceKeys({ timestamp: 0, input_length: 1, output_length: 1, hash_ids: [1] }, 100)).toThrow(
      RangeError,
    );
  });
});

describe('replay', () => {
  it('answers every row with its output length, in a time that only the input decides', () => {
    const first = replayTrace({ rows: rows(60), workers: 3, config, pick: roundRobin() });
    const second = replayTrace({ rows: rows(60), workers: 3, config, pick: roundRobin() });
    expect(first).toEqual(second);
    expect(first.outputTokens).toBe(rows(60).reduce((sum, row) => sum + row.output_length, 0));
    expect(Math.min(...first.ttftMs)).toBeGreaterThan(16);
    expect(first.e2eMs.every((ms, row) => ms >= first.ttftMs[row]!)).toBe(true);
    for (const stats of first.stats) expect(stats).toMatchObject({ activeBlocks: 0, running: 0, waiting: 0 });
  });

  it('finds more cached tokens when equal prefixes meet', () => {
    const scattered = replayTrace({ rows: rows(60), workers: 3, config, pick: roundRobin() });
    const gathered = replayTrace({ rows: rows(60), workers: 3, config, pick: sticky() });
    expect(gathered.cachedTokens).toBeGreaterThan(scattered.cachedTokens);
    expect(gathered.cached.reduce((sum, tokens) => sum + tokens, 0)).toBe(gathered.cachedTokens);
  });

  it('tells when prefills and requests are done, and shows the load to the routing function', () => {
    const firstTokens: number[] = [];
    const finished: number[] = [];
    let mostInFlight = 0;
    replayTrace({
      rows: rows(20),
      workers: 1,
      config,
      pick: (workers) => {
        mostInFlight = Math.max(mostInFlight, workers[0]!.tokensInFlight);
        return 0;
      },
      onFirstToken: (request) => firstTokens.push(request.index),
      onFinish: (request) => finished.push(request.index),
      traceSpeedup: 10,
    });
    expect(firstTokens.toSorted((a, b) => a - b)).toEqual(finished.toSorted((a, b) => a - b));
    expect(finished).toHaveLength(20);
    expect(mostInFlight).toBeGreaterThan(1_000);
  });

  it('refuses a worker that does not exist', () => {
    expect(() => replayTrace({ rows: rows(1), workers: 1, config, pick: () => 1 })).toThrow(/picked worker 1 of 1/);
  });
});

const tracePath = path.resolve(import.meta.dirname, '../../../../shared/data/mooncake-conversation.jsonl');

describe.skipIf(!existsSync(tracePath))('replay of the Mooncake conversation trace', () => {
  it('finds more cached tokens with a prefix-aware pick than round robin, over 1,000 rows', () => {
    const trace = readFileSync(tracePath, 'utf8')
      .split('\n', 1_000)
      .map((line) => JSON.parse(line) as TraceRow);
    const full = { ...config, totalBlocks: 16_384 };
    const scattered = replayTrace({ rows: trace, workers: 4, config: full, pick: roundRobin() });
    const homes = new Map<number, number>();
    // Half a key is enough to tell a thousand prompts apart.
    const gathered = replayTrace({
      rows: trace,
      workers: 4,
      config: full,
      pick: (workers, { keys }) => {
        let home = [...workers].sort((a, b) => a.tokensInFlight - b.tokensInFlight)[0]!.index;
        for (let block = keys.count - 1; block > 8; block -= 1) {
          const known = homes.get(keys.lo[block]!);
          if (known !== undefined) {
            home = known;
            break;
          }
        }
        for (let block = 0; block < keys.count; block += 1) homes.set(keys.lo[block]!, home);
        return home;
      },
    });
    expect(gathered.outputTokens).toBe(scattered.outputTokens);
    expect(gathered.cachedTokens).toBeGreaterThan(1.5 * scattered.cachedTokens);
  });
});
