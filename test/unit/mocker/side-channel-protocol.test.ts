import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader, parseReply, parseRequest } from '../../../src/mocker/side-channel-protocol.ts';

describe('side channel protocol', () => {
  it('reads requests and refuses what is none', () => {
    expect(parseRequest('{"op":"done","engine_id":"e","request_id":"r","more":1}')).toEqual({
      ...{ op: 'done', engine_id: 'e', request_id: 'r' },
    });
    for (const line of ['', '7', 'null', '[]', '{"op":"steal","engine_id":"e","request_id":"r"}', '{"op":"claim"}']) {
      expect(parseRequest(line)).toBeUndefined();
    }
  });

  it('reads replies and refuses what is none', () => {
    const claim = { ok: true, num_tokens: 3, prefix: [-1, 2], last_token: 7 };
    expect(parseReply(JSON.stringify(claim))).toEqual(claim);
    expect(parseReply('{"ok":true}')).toEqual({ ok: true });
    expect(parseReply('{"ok":false,"error":"no"}')).toEqual({ ok: false, error: 'no' });
    for (const line of [
      '{"ok":1}',
      '{"ok":false}',
      '{"ok":true,"num_tokens":3}',
      '{"ok":true,"num_tokens":3,"prefix":[1],"last_token":1}',
    ]) {
      expect(parseReply(line)).toBeUndefined();
    }
  });

  it('never throws on garbage', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        parseRequest(line);
        parseReply(line);
      }),
    );
  });

  it('gives whole lines however the bytes arrive', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string().map((line) => line.replaceAll('\n', ''))),
        fc.integer({ min: 1, max: 9 }),
        (lines, size) => {
          const reader = new LineReader();
          const text = lines.map((line) => `${line}\n`).join('');
          const out: string[] = [];
          for (let at = 0; at < text.length; at += size) out.push(...reader.push(text.slice(at, at + size)));
          expect(out).toEqual(lines);
        },
      ),
    );
    expect(() => new LineReader().push('x'.repeat((1 << 20) + 1))).toThrow(RangeError);
  });
});
