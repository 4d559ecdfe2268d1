import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText, decodeTokens, encodeBytes, encodeText } from '../../../src/tokens/mock-tokenizer.ts';

const pieces = (text: string) => [...encodeText(text)].map((id) => decodeText([id]));

describe('mock tokenizer', () => {
  it('cuts words into pieces of up to three letters, the first with its space', () => {
    expect(pieces('The river runs to sea-42!')).toEqual([
      'The',
      ' riv',
      'er',
      ' run',
      's',
      ' to',
      ' sea',
      '-',
      '42',
      '!',
    ]);
  });

  it('packs the bytes of a piece with the first byte lowest', () => {
    expect([...encodeText(' cat')]).toEqual([0x74616320]);
    expect([...encodeText('  a')]).toEqual([0x20, 0x6120]);
  });

  it('keeps NUL apart from padding', () => {
    expect([...encodeText('\0')]).toEqual([0x100]);
    expect([...decodeTokens([0x100, 0])]).toEqual([0]);
  });

  it('gives unsigned ids for bytes above 127', () => {
    expect(Math.min(...encodeText('aé漢🎈'))).toBeGreaterThan(0);
  });

  it('turns any text and any bytes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(decodeText(encodeText(text))).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeTokens(encodeBytes(bytes)).equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });

  it('accepts ids it would never make', () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 50 }), (ids) => {
        expect(decodeTokens(ids).length).toBeLessThanOrEqual(ids.length * 4);
      }),
    );
  });
});
