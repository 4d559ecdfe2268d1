import { describe, expect, it } from 'vitest';
import { type ChatAnswer, decodeRate, describeAnswer, servedByOf } from '../../../src/chat/chat-answer.ts';

const ANSWER: ChatAnswer = {
  text: 'Hello',
  reasoning: '',
  finishReason: 'stop',
  usage: { promptTokens: 12, completionTokens: 32, cachedTokens: 4 },
  ttftMs: 23.4,
  totalMs: 80,
  tokensPerSecond: 412.3,
  servedBy: { prefill: 'prefill-0', decode: 'decode-1', localPrefill: null },
  aborted: false,
};

describe('the line after an answer', () => {
  it('has time, rate, tokens and workers', () => {
    expect(describeAnswer(ANSWER)).toBe(
      'TTFT 23 ms · 412 tok/s · 12 prompt tokens, 4 cached · 32 generated · prefill-0 → decode-1',
    );
  });

  it('leaves out what is not known', () => {
    const bare: ChatAnswer = {
      ...ANSWER,
      usage: null,
      tokensPerSecond: null,
      ttftMs: null,
      servedBy: { prefill: null, decode: null, localPrefill: null },
    };
    expect(describeAnswer(bare)).toBe('');
    expect(
      describeAnswer({ ...ANSWER, usage: { promptTokens: 1, completionTokens: 1, cachedTokens: null } }),
    ).toContain('1 prompt token · 1 generated');
  });

  it('says when it was cut, by whom', () => {
    expect(describeAnswer({ ...ANSWER, aborted: true })).toMatch(/^cut off · TTFT/);
    expect(describeAnswer({ ...ANSWER, finishReason: 'length' })).toContain('length limit reached');
  });

  it('says when the decode worker did the prefill', () => {
    const servedBy = { prefill: null, decode: 'decode-0', localPrefill: 'no_prefill_worker' };
    expect(describeAnswer({ ...ANSWER, servedBy })).toContain(
      'decode-0 · prefill done by the decode worker (no_prefill_worker)',
    );
  });
});

describe('servedByOf', () => {
  const from = (headers: Record<string, string>) => servedByOf((name) => headers[name] ?? null);
  it('reads both forms of the headers', () => {
    expect(from({ 'x-dynamo-worker': 'agg-0' })).toEqual({ prefill: null, decode: 'agg-0', localPrefill: null });
    expect(from({ 'x-dynamo-prefill-worker': 'p', 'x-dynamo-decode-worker': 'd' })).toMatchObject({
      prefill: 'p',
      decode: 'd',
    });
    expect(from({})).toEqual({ prefill: null, decode: null, localPrefill: null });
  });
});

describe('decodeRate', () => {
  const usage = (completionTokens: number) => ({ promptTokens: 1, completionTokens, cachedTokens: null });
  it('counts the tokens after the first', () => {
    expect(decodeRate(usage(11), 100, 1_100)).toBe(10);
  });
  it.each([
    [usage(1), 100, 200],
    [usage(5), null, 0],
    [usage(5), 100, 100],
    [undefined, 100, 200],
  ])('has no rate for %j from %s to %s', (counts, first, last) => {
    expect(decodeRate(counts, first, last)).toBeNull();
  });
});
