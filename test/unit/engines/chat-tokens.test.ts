import { describe, expect, it } from 'vitest';
import { idsOfCompletion, idsOfRendering } from '../../../src/engines/chat-tokens.ts';
import { sglangEngine } from '../../../src/engines/sglang/sglang-engine.ts';

describe('ids of a prompt', () => {
  it('stand beside the choices of a chat, or in the first choice', () => {
    expect(idsOfCompletion({ prompt_token_ids: [1, 2], choices: [] })).toEqual([1, 2]);
    expect(idsOfCompletion({ choices: [{ prompt_token_ids: [3] }] })).toEqual([3]);
  });

  it.each([
    null,
    {},
    'text',
    { choices: 'x' },
    { choices: [] },
    { prompt_token_ids: null },
    { prompt_token_ids: ['a'] },
  ])('are not in the completion %j', (answer) => {
    expect(idsOfCompletion(answer)).toBeNull();
  });

  it('are named by a rendering', () => {
    expect(idsOfRendering({ token_ids: [4, 5], features: null })).toEqual([4, 5]);
    for (const answer of [null, [], {}, { token_ids: [1.5] }]) expect(idsOfRendering(answer)).toBeNull();
  });
});

describe('a server that has a peer', () => {
  it('is asked alone with the fake peer, in a room of its own', () => {
    const { completionFields } = sglangEngine.chatTokens;
    expect(completionFields('aggregated', () => 0.5)).toEqual({});
    expect(completionFields('decode', () => 0)).toEqual({
      bootstrap_host: '2.2.2.2',
      bootstrap_port: 8_998,
      bootstrap_room: 1,
    });
    const { bootstrap_room: last } = completionFields('prefill', () => 1 - 2 ** -53);
    expect(Number.isSafeInteger(last)).toBe(true);
  });
});
