import { describe, expect, it } from 'vitest';
import { blockText, syntheticText, tracePrompt } from '../../../src/bench/prompt-text.ts';
import { renderChat } from '../../../src/tokens/chat-template.ts';
import { encodeText } from '../../../src/tokens/mock-tokenizer.ts';

describe('prompt text', () => {
  it('is as many tokens of the simulated engine as asked, cut or whole', () => {
    for (const tokens of [1, 2, 511, 512, 513, 1_000]) {
      expect(encodeText(syntheticText(5, 17, tokens))).toHaveLength(tokens);
      expect(encodeText(tracePrompt(5, [9, 8], tokens, 512))).toHaveLength(Math.min(tokens, 1_024));
    }
  });

  it('keeps its token count inside a chat, plus the template', () => {
    const overhead = encodeText(renderChat([{ role: 'user', content: '' }])).length;
    const text = syntheticText(0, 0, 100);
    expect(encodeText(renderChat([{ role: 'user', content: text }])).length - overhead).toBe(100);
  });

  it('shares a prefix exactly where hash ids are shared', () => {
    const one = tracePrompt(0, [0, 1, 2], 1_300, 512);
    const two = tracePrompt(0, [0, 1, 7], 1_300, 512);
    const shared = blockText(0, 0, 512) + blockText(0, 1, 512);
    expect(one.startsWith(shared) && two.startsWith(shared)).toBe(true);
    expect(one.slice(shared.length, shared.length + 60)).not.toBe(two.slice(shared.length, shared.length + 60));
    // The partial block of one row is the beginning of the full block of another.
    expect(blockText(0, 7, 512).startsWith(blockText(0, 7, 100))).toBe(true);
  });

  it('differs by seed, id and index from the first words on, and needs no escaping', () => {
    const starts = [
      blockText(0, 1, 8),
      blockText(1, 1, 8),
      blockText(0, 2, 8),
      syntheticText(0, 1, 8),
      syntheticText(0, 2, 8),
    ];
    expect(new Set(starts).size).toBe(starts.length);
    expect(new Set(Array.from({ length: 5_000 }, (_, id) => blockText(0, id, 12))).size).toBe(5_000);
    expect(JSON.stringify(syntheticText(0, 0, 4_000))).toHaveLength(syntheticText(0, 0, 4_000).length + 2);
  });
});
