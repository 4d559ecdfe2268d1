import { describe, expect, it } from 'vitest';
import { readUsage, withCachedTokens } from '../../../src/openai/usage.ts';

const usage = (details: string) =>
  Buffer.from(
    `{"id":18446744073709551615,"choices":[{"text":"\\"usage\\":{}"}],"usage": {"prompt_tokens":10,"completion_tokens":3${details}} , "x":1}`,
  );

describe('readUsage', () => {
  it('reads counts, and null for what is not said', () => {
    expect(readUsage(usage(''))).toEqual({ promptTokens: 10, completionTokens: 3, cachedTokens: null });
    expect(readUsage(usage(',"prompt_tokens_details":{"cached_tokens":8}'))?.cachedTokens).toBe(8);
    expect(readUsage(usage(',"prompt_tokens_details":null'))?.cachedTokens).toBeNull();
    expect(readUsage(Buffer.from('{"usage":null}'))).toBeUndefined();
    expect(readUsage(Buffer.from('{"choices":[]}'))).toBeUndefined();
    expect(readUsage(Buffer.from('nonsense'))).toBeUndefined();
  });
});

describe('withCachedTokens', () => {
  it.each([
    ['', ',"prompt_tokens_details":{"cached_tokens":7}'],
    [',"prompt_tokens_details":null', ',"prompt_tokens_details":{"cached_tokens":7}'],
    [',"prompt_tokens_details":{}', ',"prompt_tokens_details":{"cached_tokens":7}'],
    [',"prompt_tokens_details":{"a":1}', ',"prompt_tokens_details":{"a":1,"cached_tokens":7}'],
    [',"prompt_tokens_details":{"cached_tokens":0,"a":1}', ',"prompt_tokens_details":{"cached_tokens":7,"a":1}'],
    [',"prompt_tokens_details":{"cached_tokens":null}', ',"prompt_tokens_details":{"cached_tokens":7}'],
  ])('turns %j into %j and keeps every other byte', (before, after) => {
    expect(withCachedTokens(usage(before), 7).toString()).toBe(usage(after).toString());
  });

  it('leaves a body without usage as it is', () => {
    const body = Buffer.from('{"choices":[],"usage":null}');
    expect(withCachedTokens(body, 7)).toBe(body);
  });
});
