import { describe, expect, it } from 'vitest';
import { judgeTokens, type TokenSide } from '../../../src/doctor/check-tokens.ts';

const side = (who: string, ids: number[] | null, promptTokens = ids?.length ?? 3): TokenSide => ({
  who,
  ids,
  promptTokens,
  error: null,
});
const judge = (...sides: TokenSide[]) => judgeTokens('m', 'a prompt', sides);

describe('judgeTokens', () => {
  it('compares ids where all tell them, else numbers', () => {
    expect(judge(side('a', [1, 2, 3]), side('b', [1, 2, 3]))).toMatchObject({
      agree: true,
      detail: '3 tokens, the same ids on 2 sides',
    });
    expect(judge(side('a', null), side('b', [1, 2, 3])).detail).toBe('3 tokens, as many on 2 sides');
  });

  it('tells other numbers from other ids', () => {
    expect(judge(side('a', [1, 2]), side('b', [1, 2, 3]))).toMatchObject({
      agree: false,
      detail: expect.stringContaining('2, 3') as string,
    });
    expect(judge(side('a', [1, 2, 4]), side('b', [1, 2, 3])).detail).toBe('as many tokens, but other ones');
  });

  it('takes no answer for no agreement', () => {
    const silent = { who: 'c', promptTokens: null, ids: null, error: '503' };
    expect(judge(side('a', [1]), silent)).toMatchObject({ agree: false, detail: '1 of 2 sides did not answer' });
    expect(judge(silent)).toMatchObject({ agree: false, detail: 'nobody answered' });
  });

  it('says nothing of one worker alone', () => {
    expect(judge(side('a', [1])).agree).toBeNull();
  });
});
