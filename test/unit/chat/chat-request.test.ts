import { describe, expect, it } from 'vitest';
import { chatBody } from '../../../src/chat/chat-request.ts';
import { printable } from '../../../src/chat/printable.ts';

describe('chatBody', () => {
  it('asks for a stream with token counts, and sets only what was said', () => {
    expect(JSON.parse(chatBody({ model: 'm' }, [{ role: 'user', content: 'Hi' }]))).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('puts the system message first', () => {
    const body = JSON.parse(chatBody({ model: 'm', system: 'Be short.', maxTokens: 5, temperature: 0 }, [])) as object;
    expect(body).toMatchObject({ messages: [{ role: 'system', content: 'Be short.' }], max_tokens: 5, temperature: 0 });
  });
});

describe('printable', () => {
  it('keeps text, lines and tabs, and removes what steers a terminal', () => {
    expect(printable('a\tb\nü→世界')).toBe('a\tb\nü→世界');
    expect(printable('\u001b]0;title\u0007\u001b[2Jx\r\u009by\u007f')).toBe(']0;title[2Jxy');
  });
});
