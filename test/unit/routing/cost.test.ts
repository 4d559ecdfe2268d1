import { describe, expect, it } from 'vitest';
import { drawByCost, kvCost } from '../../../src/routing/cost.ts';
import { seededRandom } from '../../../src/routing/random.ts';

const weights = { overlapScoreCredit: 1, prefillLoadScale: 1 };
const input = (overlap: number, decodeBlocks: number) => ({
  rawPrefillBlocks: 10,
  creditedOverlapBlocks: overlap,
  decodeBlocks,
});

describe('kvCost', () => {
  it('gives the worked example of the source: 18, 10 and 11 for a prompt of 10 blocks', () => {
    expect([input(2, 10), input(5, 5), input(8, 9)].map((each) => kvCost(each, weights))).toEqual([18, 10, 11]);
  });

  it('never goes below the running blocks, and scales prefill work', () => {
    expect(kvCost(input(30, 4), weights)).toBe(4);
    expect(kvCost(input(5, 4), { overlapScoreCredit: 0, prefillLoadScale: 1 })).toBe(14);
    expect(kvCost(input(5, 4), { overlapScoreCredit: 1, prefillLoadScale: 2 })).toBe(14);
  });
});

describe('drawByCost', () => {
  const shares = (costs: number[], temperature: number) => {
    const random = seededRandom(3);
    const counts = costs.map(() => 0);
    for (let draw = 0; draw < 20_000; draw += 1) counts[drawByCost(costs, temperature, random())]! += 1;
    return counts.map((count) => count / 20_000);
  };

  it('follows the softmax over the normalised costs', () => {
    const weight = [1, Math.exp(-0.5), Math.exp(-1)];
    const sum = weight[0]! + weight[1]! + weight[2]!;
    for (const [index, share] of shares([5, 10, 15], 1).entries()) expect(share).toBeCloseTo(weight[index]! / sum, 1);
  });

  it('is uniform for equal costs and near certain for a low temperature', () => {
    for (const share of shares([4, 4, 4, 4], 0.5)) expect(share).toBeCloseTo(0.25, 1);
    expect(shares([1, 2], 0.01)[0]).toBe(1);
    expect(drawByCost([1, 2], 1, 0.999999999)).toBe(1);
  });
});
