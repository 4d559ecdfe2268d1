import { describe, expect, it } from 'vitest';
import { readCompletion } from '../../../src/bench/completion-reader.ts';

const read = (value: unknown) => readCompletion(JSON.stringify(value));

describe('readCompletion', () => {
  it('tells content from reasoning from nothing, streamed and whole', () => {
    const content = (choice: object) => read({ choices: [choice] }).content;
    expect(content({ delta: { role: 'assistant', content: '' } })).toBe('none');
    expect(content({ delta: { content: ' a' } })).toBe('output');
    expect(content({ delta: { reasoning_content: 'hm' } })).toBe('reasoning');
    expect(content({ delta: { reasoning: 'hm' } })).toBe('reasoning');
    expect(content({ delta: { tool_calls: [{ index: 0 }] } })).toBe('output');
    expect(content({ message: { content: 'whole' } })).toBe('output');
    expect(content({ text: 'x' })).toBe('output');
    expect(content({ text: '' })).toBe('none');
    expect(read({ choices: [] }).content).toBe('none');
  });

  it('reads usage with and without cached tokens', () => {
    const usage = { prompt_tokens: 5, completion_tokens: 2 };
    expect(read({ choices: [], usage }).usage).toEqual({ promptTokens: 5, completionTokens: 2, cachedTokens: null });
    const cached = read({ usage: { ...usage, prompt_tokens_details: { cached_tokens: 4 } } });
    expect(cached.usage?.cachedTokens).toBe(4);
    expect(read({ usage: null }).usage).toBeNull();
    expect(read({ usage: { prompt_tokens: 'x' } }).usage).toBeNull();
  });

  it('recognises errors in their several shapes', () => {
    expect(read({ error: { type: 'overloaded', message: 'busy' } }).error).toEqual({
      type: 'overloaded',
      message: 'busy',
    });
    expect(read({ error: { code: 503, message: 'busy' } }).error).toEqual({ type: '503', message: 'busy' });
    expect(read({ error: 'Unauthorized' }).error).toEqual({ type: 'error', message: 'Unauthorized' });
    expect(read({ object: 'error', type: 'NotFoundError', message: 'no' }).error).toEqual({
      type: 'NotFoundError',
      message: 'no',
    });
    expect(read({ detail: 'Not Found' }).error?.message).toBe('Not Found');
    expect(read({ error: { message: 'x'.repeat(1_000) } }).error?.message.length).toBeLessThan(210);
    expect(read({ error: null, choices: [] }).error).toBeNull();
  });

  it('survives any JSON and refuses what is none', () => {
    for (const value of [null, 1, 'x', [], [1], {}, { choices: 1 }, { choices: [null] }, { choices: [{ delta: 3 }] }])
      expect(read(value).content).toBe('none');
    expect(() => readCompletion('{"a":')).toThrow(SyntaxError);
  });
});
