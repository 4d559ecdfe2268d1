import { describe, expect, it } from 'vitest';
import { type RequestFieldError, readCompletionRequest } from '../../../src/openai/completion-request.ts';

const read = (kind: 'chat' | 'text', body: unknown) => readCompletionRequest(kind, Buffer.from(JSON.stringify(body)));
const problem = (kind: 'chat' | 'text', body: string): RequestFieldError => {
  try {
    readCompletionRequest(kind, Buffer.from(body));
  } catch (error) {
    return error as RequestFieldError;
  }
  throw new Error('accepted');
};

describe('readCompletionRequest', () => {
  it('reads what routing needs', () => {
    const chat = {
      model: 'm',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
      max_tokens: 5,
      max_completion_tokens: 9,
    };
    expect(read('chat', chat)).toMatchObject({ model: 'm', stream: true, maxTokens: 9, includeUsage: false });
    expect(read('chat', { ...chat, stream_options: { include_usage: true } }).includeUsage).toBe(true);
    for (const prompt of ['p', [1, 2], ['a', 'b'], [[1], [2]]])
      expect(read('text', { model: 'm', prompt }).maxTokens).toBeNull();
    expect(read('text', { model: 'm', prompt: '', stream: null, max_tokens: null })).toMatchObject({ stream: false });
  });

  it.each([
    ['text', '[]', null],
    ['text', 'null', null],
    ['text', '{"prompt":"p"}', 'model'],
    ['text', '{"model":"","prompt":"p"}', 'model'],
    ['text', '{"model":"m"}', 'prompt'],
    ['text', '{"model":"m","prompt":[]}', 'prompt'],
    ['text', '{"model":"m","prompt":{"a":1}}', 'prompt'],
    ['text', '{"model":"m","prompt":"p","stream":"yes"}', 'stream'],
    ['text', '{"model":"m","prompt":"p","max_tokens":-1}', 'max_tokens'],
    ['text', '{"model":"m","prompt":"p","max_tokens":"5"}', 'max_tokens'],
    ['text', '{"model":"m","prompt":"p","stream_options":[]}', 'stream_options'],
    ['chat', '{"model":"m","messages":[]}', 'messages'],
    ['chat', '{"model":"m","messages":"hi"}', 'messages'],
    ['chat', '{"model":"m","messages":[{"role":"user"},7]}', 'messages.1.role'],
  ] as const)('refuses %s %s and names %s', (kind, body, param) => {
    const error = problem(kind, body);
    expect(error.httpStatus).toBe(400);
    expect(error.param).toBe(param);
  });

  it('says where JSON broke without quoting the body', () => {
    const error = problem('text', '{"model":"m","prompt":"very secret" oops}');
    expect(error.message).toContain('position 36');
    expect(error.message).not.toContain('secret');
  });
});
