import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextToken, vocabularySize } from '../../../src/tokens/mock-language.ts';
import { decodeText, encodeText } from '../../../src/tokens/mock-tokenizer.ts';
import { PrefixHash } from '../../../src/tokens/prefix-hash.ts';

function continueFrom(prompt: readonly number[], count: number, seed = 0): number[] {
  const prefix = new PrefixHash();
  prefix.pushAll(prompt);
  let last = prompt.at(-1)!;
  return Array.from({ length: count }, () => {
    last = nextToken(prefix, last, seed);
    prefix.push(last);
    return last;
  });
}

const prompts = fc.string({ minLength: 1, maxLength: 60 }).map((text) => [...encodeText(text)]);

describe('mock language', () => {
  it('reads like words and sentences', () => {
    expect(vocabularySize).toBeGreaterThan(250);
    const text = decodeText(continueFrom([...encodeText('user\nHi\nassistant\n')], 300));
    expect(text).toMatch(/^[A-Z]?[a-z]+([.,]? [A-Z]?[a-z]+)+[.,]?$/);
    for (const sentence of text.split('. ').slice(1)) expect(sentence[0]).toMatch(/[A-Z]/);
  });

  it('encodes to the tokens it was made of', () => {
    fc.assert(
      fc.property(prompts, fc.integer(), (prompt, seed) => {
        // The first piece may belong to a word the prompt began.
        const tokens = continueFrom(prompt, 40, seed);
        const text = decodeText(tokens);
        expect([...encodeText(text)].slice(1).join()).toBe(tokens.slice(1).join());
      }),
    );
  });

  it('depends on every token before and on the seed, and on nothing else', () => {
    const prompt = [...encodeText('A long enough prompt to change one letter of it')];
    const changed = prompt.with(3, prompt[3]! ^ 1);
    const text = continueFrom(prompt, 20).join();
    expect(continueFrom(prompt, 20).join()).toBe(text);
    expect(continueFrom(changed, 20).join()).not.toBe(text);
    expect(continueFrom(prompt, 20, 1).join()).not.toBe(text);
  });

  it('goes on the same way when it is cut and resumed anywhere', () => {
    fc.assert(
      fc.property(prompts, fc.integer({ min: 1, max: 29 }), (prompt, cut) => {
        const all = continueFrom(prompt, 30);
        expect(continueFrom([...prompt, ...all.slice(0, cut)], 30 - cut)).toEqual(all.slice(cut));
      }),
    );
  });

  it('does not run in circles', () => {
    const words = decodeText(continueFrom([...encodeText('Go on')], 3_000)).split(' ');
    expect(new Set(words).size).toBeGreaterThan(200);
  });
});
