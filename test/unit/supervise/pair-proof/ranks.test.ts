import { describe, expect, it } from 'vitest';
import {
  addressable,
  forEachRank,
  nameRanks,
  rankPairs,
  ranksIn,
  samplesOf,
} from '../../../../src/supervise/pair-proof/ranks.ts';
import type { Sample } from '../../../../src/telemetry/prometheus-text.ts';

const sample = (value: number, rank?: string): Sample => ({
  name: 'count',
  labels: rank === undefined ? {} : { dp_rank: rank },
  value,
});
const SAMPLES = [sample(1), sample(2, '10'), sample(3, '2'), sample(4, '2'), sample(5, 'all')];

describe('data-parallel ranks', () => {
  it('are read from a label, by number', () => {
    expect(ranksIn(SAMPLES, 'dp_rank')).toEqual([2, 10]);
    expect(ranksIn(SAMPLES, 'engine')).toEqual([]);
    expect(samplesOf(SAMPLES, 'dp_rank', 2).map(({ value }) => value)).toEqual([3, 4]);
    expect(samplesOf(SAMPLES, 'dp_rank', null)).toBe(SAMPLES);
  });

  it('can be asked for when they count from 0; a server that is one of them takes what comes', () => {
    expect([[], [0], [0, 1, 2], [3], [4, 5, 6, 7], [0, 2]].map(addressable)).toEqual([1, 1, 3, 1, 1, 1]);
  });

  it('take part at least once each', () => {
    expect(rankPairs(1, 1)).toEqual([{ prefill: null, decode: null }]);
    expect(rankPairs(3, 2).map(nameRanks)).toEqual([
      'prefill rank 0 → decode rank 0',
      'prefill rank 1 → decode rank 1',
      'prefill rank 2 → decode rank 0',
    ]);
    expect(rankPairs(1, 2).map(nameRanks)).toEqual(['decode rank 0', 'decode rank 1']);
  });

  it('are proven together: what they moved is added, the slowest counts, and facts say whose they are', async () => {
    const proof = (bytes: number | null, ms: number) => ({
      ...{ bytes, transferMs: 2, promptTokens: 49, prefillMs: ms, decodeMs: 10 - ms },
      ...{ facts: ['moved'], failedTries: [] },
    });
    const joined = await forEachRank(rankPairs(2, 1), async ({ prefill }) => proof(100, 1 + prefill!));
    expect(joined).toMatchObject({ bytes: 200, transferMs: 4, promptTokens: 49, prefillMs: 2, decodeMs: 9 });
    expect(joined.facts).toEqual(['prefill rank 0: moved', 'prefill rank 1: moved']);
    // What one does not tell is not known of all.
    expect((await forEachRank(rankPairs(2, 1), async ({ prefill }) => proof(prefill || null, 1))).bytes).toBeNull();
  });

  it('fail with the name of the one that failed', async () => {
    const tried: string[] = [];
    const proving = forEachRank(rankPairs(3, 1), (ranks) => {
      tried.push(nameRanks(ranks));
      return Promise.reject(new Error('nothing moved'));
    });
    await expect(proving).rejects.toThrow('prefill rank 0: nothing moved');
    expect(tried).toEqual(['prefill rank 0']);
  });
});
