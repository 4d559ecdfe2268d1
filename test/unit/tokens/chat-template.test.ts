import { describe, expect, it } from 'vitest';
import { renderChat } from '../../../src/tokens/chat-template.ts';

describe('chat template', () => {
  it('renders ChatML and opens the assistant turn', () => {
    expect(
      renderChat([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ]),
    ).toBe('<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });

  it('leaves the assistant turn closed when asked', () => {
    expect(renderChat([{ role: 'user', content: 'Hi' }], false)).toBe('<|im_start|>user\nHi<|im_end|>\n');
  });

  it('joins text parts, marks other parts, and copes with no content', () => {
    const parts = [{ type: 'text', text: 'a' }, 'b', { type: 'image_url', image_url: { url: 'x' } }, 7, null];
    expect(renderChat([{ role: 'user', content: parts }], false)).toBe(
      '<|im_start|>user\na\nb\n<|image_url|>\n\n<|im_end|>\n',
    );
    expect(renderChat([{ role: 'assistant', content: null }], false)).toBe('<|im_start|>assistant\n<|im_end|>\n');
  });

  it('renders earlier tool calls', () => {
    const text = renderChat([{ role: 'assistant', content: null, tool_calls: [{ id: 'c1' }] }], false);
    expect(text).toContain('<tool_call>{"id":"c1"}</tool_call>');
  });
});
