import { describe, expect, it } from 'vitest';
import { judgeChunk } from '../../../src/openai/finish-reason.ts';

describe('judgeChunk', () => {
  it('calls errors and aborts failures, without their message', () => {
    expect(judgeChunk({ error: { message: 'prompt text', type: 'InternalServerError', code: 500 } }).failure).toBe(
      'error InternalServerError 500',
    );
    expect(judgeChunk({ choices: [{ finish_reason: 'abort' }] }).failure).toBe('finish reason abort');
    expect(judgeChunk({ choices: [{ finish_reason: 'stop' }, { finish_reason: 'error' }] }).failure).toBe(
      'finish reason error',
    );
    expect(judgeChunk('x').failure).toBe('not a JSON object');
    expect(judgeChunk({ error: null, choices: [{ finish_reason: 'length' }] })).toMatchObject({
      failure: undefined,
      finished: true,
    });
  });

  it('tells content from a mere role, and usage from both', () => {
    expect(
      judgeChunk({ choices: [{ delta: { role: 'assistant', content: '' }, finish_reason: null }] }).hasContent,
    ).toBe(false);
    expect(judgeChunk({ choices: [{ delta: { content: 'a' } }] }).hasContent).toBe(true);
    expect(judgeChunk({ choices: [{ delta: { reasoning: 'a' } }] }).hasContent).toBe(true);
    expect(judgeChunk({ choices: [{ delta: { tool_calls: [{}] } }] }).hasContent).toBe(true);
    expect(judgeChunk({ choices: [{ text: 'a' }] }).hasContent).toBe(true);
    expect(judgeChunk({ choices: [], usage: { prompt_tokens: 1 } })).toMatchObject({
      usageOnly: true,
      hasContent: false,
    });
  });
});
