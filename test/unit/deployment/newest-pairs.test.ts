import { expect, it } from 'vitest';
import { newestPairs } from '../../../src/deployment/newest-pairs.ts';
import type { HeardPair } from '../../../src/supervise/protocol.ts';

const pair = (state: HeardPair['state'], ageMs?: number): HeardPair => ({
  ...{ prefill: 'p', decode: 'd', state, detail: null },
  ...(ageMs !== undefined && { ageMs }),
});
const judged = (a: HeardPair[], b: HeardPair[]) =>
  newestPairs([
    { host: 'a', pairs: a },
    { host: 'b', pairs: b },
  ]);

it('of two agents that judge a pair, the one that proved it last counts; one that does not say when comes last', () => {
  expect(judged([pair('failed', 2_000)], [pair('proven', 1_000)])).toEqual([{ host: 'b', ...pair('proven') }]);
  expect(judged([pair('failed', 1_000)], [pair('proven', 2_000)])).toEqual([{ host: 'a', ...pair('failed') }]);
  expect(judged([pair('failed')], [pair('proven', 9_000)])).toEqual([{ host: 'b', ...pair('proven') }]);
  expect(judged([pair('failed')], [pair('proven')])).toEqual([{ host: 'a', ...pair('failed') }]);
});
