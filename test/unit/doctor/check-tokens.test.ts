import { describe, expect, it } from 'vitest';
import { judgeTokens, type TokenSide } from '../../../src/doctor/check-tokens.ts';

const side = (who: string, ids: number[] | null, promptTokens = ids?.length ?? 3): TokenSide => ({
  who,
  ids,
  promptTokens,
  status: null,
  error: null,
});
const failed = (who: string, status: number): TokenSide => ({
  ...{ who, promptTokens: null, ids: null },
  ...{ status, error: `${status} why` },
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
    expect(judge(side('a', [1, 2, 4]), side('b', [1, 2, 3])).detail).toBe(
      'as many tokens, but other ones from token 3 on',
    );
  });

  it('takes no answer for no agreement', () => {
    const silent = failed('c', 503);
    expect(judge(side('a', [1]), silent)).toMatchObject({ agree: false, detail: '1 of 2 sides did not answer' });
    expect(judge(silent)).toMatchObject({ agree: false, detail: 'nobody answered' });
  });

  it('lets nobody be wrong about a prompt that no template takes', () => {
    const answer = judge(failed('a', 400), failed('b', 400));
    expect(answer).toMatchObject({ agree: null, detail: 'no worker takes it: 400 why' });
    expect(judge(failed('a', 400), failed('b', 500)).agree).toBe(false);
    expect(judge(failed('a', 400), { ...failed('b', 400), status: null, error: 'fetch failed' }).agree).toBe(false);
  });

  it('says nothing of one worker alone', () => {
    expect(judge(side('a', [1])).agree).toBeNull();
  });
});
