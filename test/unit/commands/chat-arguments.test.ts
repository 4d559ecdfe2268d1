import { describe, expect, it } from 'vitest';
import { readSampling, splitChatWords } from '../../../src/commands/chat-arguments.ts';

describe('the words of `dynamo chat`', () => {
  it.each([
    [[], false, { deployment: undefined, prompt: [] }],
    [['quickstart'], false, { deployment: 'quickstart', prompt: [] }],
    [['quickstart', 'Hello', 'there'], false, { deployment: 'quickstart', prompt: ['Hello', 'there'] }],
    [['How are you?'], false, { deployment: undefined, prompt: ['How are you?'] }],
    [['-'], false, { deployment: undefined, prompt: ['-'] }],
    [['quickstart', 'Hello'], true, { deployment: undefined, prompt: ['quickstart', 'Hello'] }],
  ])('%j (url: %s)', (words, hasUrl, expected) => {
    expect(splitChatWords(words, ['quickstart'], hasUrl)).toEqual(expected);
  });

  it('takes an unknown name for a mistake, not for a prompt', () => {
    expect(() => splitChatWords(['quickstrt', 'Hello'], ['quickstart'], false)).toThrow(
      expect.objectContaining({ code: 'NO_DEPLOYMENT', hint: expect.stringContaining('quickstart') }),
    );
    expect(() => splitChatWords(['Hello'], [], false)).toThrow(expect.objectContaining({ code: 'NO_DEPLOYMENT' }));
  });
});

describe('sampling options', () => {
  it('are numbers in their range', () => {
    expect(readSampling({ maxTokens: '5', temperature: '0.7' })).toEqual({ maxTokens: 5, temperature: 0.7 });
    expect(readSampling({})).toEqual({ maxTokens: undefined, temperature: undefined });
    for (const flags of [
      { maxTokens: '0' },
      { maxTokens: '1.5' },
      { maxTokens: 'x' },
      { temperature: '-1' },
      { temperature: '' },
    ])
      expect(() => readSampling(flags)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
