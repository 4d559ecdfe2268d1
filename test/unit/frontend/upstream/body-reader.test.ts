import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WholeBody } from '../../../../src/frontend/upstream/body-reader.ts';
import { readChunk } from '../../../../src/frontend/upstream/chunk-framing.ts';
import { ProtocolError } from '../../../../src/frontend/upstream/response-head.ts';

const LIMIT = 1_000_000;

/** Gives the bytes in pieces, in a buffer that is overwritten after each, as a connection does. */
function feed(body: WholeBody, wire: Buffer, cuts: number[]): { end: number; offset: number } {
  const edges = [0, ...cuts.map((cut) => cut % (wire.length + 1)).sort((a, b) => a - b), wire.length];
  for (let index = 1; index < edges.length; index += 1) {
    const [from, to] = [edges[index - 1]!, edges[index]!];
    if (from === to) continue;
    const scratch = Buffer.alloc(to - from + 7, 0x58);
    wire.copy(scratch, 3, from, to);
    const end = body.read(scratch, 3, 3 + to - from);
    scratch.fill(0x59);
    if (end >= 0) return { end: from + end - 3, offset: to };
  }
  return { end: -1, offset: wire.length };
}

const chunked = (parts: string[], tail = '0\r\n\r\n') =>
  Buffer.from(`${parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}${tail}`);

describe('WholeBody', () => {
  it('puts a chunked body together whatever the reads are, and finds its end', () => {
    const parts = fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 6 });
    fc.assert(
      fc.property(
        parts,
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.constantFrom('0\r\n\r\n', '000\r\nX-T: 1\r\n\r\n', '0;e=1\r\n\r\n'),
        (texts, cuts, tail) => {
          const wire = chunked(texts, tail);
          const body = new WholeBody({ kind: 'chunked' }, LIMIT);
          const after = Buffer.concat([wire, Buffer.from('HTTP/1.1')]);
          expect(feed(body, after, [...cuts, wire.length]).end).toBe(wire.length);
          expect(body.payload.toString()).toBe(texts.join(''));
        },
      ),
    );
  });

  it('takes every single split', () => {
    const wire = chunked(['{"a":', 'é', '1}'], '0\r\nA: b\r\n\r\n');
    for (let cut = 0; cut <= wire.length; cut += 1) {
      const body = new WholeBody({ kind: 'chunked' }, LIMIT);
      expect(feed(body, wire, [cut]).end).toBe(wire.length);
      expect(body.payload.toString()).toBe('{"a":é1}');
    }
  });

  it('counts a length and stops there; takes the rest until the connection closes', () => {
    const fixed = new WholeBody({ kind: 'length', length: 5 }, LIMIT);
    expect(feed(fixed, Buffer.from('helloEXTRA'), [2]).end).toBe(5);
    expect(fixed.payload.toString()).toBe('hello');
    expect(fixed.closed()).toBe(false);
    const open = new WholeBody({ kind: 'close' }, LIMIT);
    expect(feed(open, Buffer.from('all of it'), [1, 2, 3]).end).toBe(-1);
    expect(open.closed()).toBe(true);
    expect(open.payload.toString()).toBe('all of it');
    expect(new WholeBody({ kind: 'none' }, LIMIT).read(Buffer.from('next'), 0, 4)).toBe(0);
  });

  it('refuses bodies over its limit', () => {
    expect(() => new WholeBody({ kind: 'length', length: 100 }, 10).read(Buffer.alloc(50), 0, 50)).toThrow(
      ProtocolError,
    );
    expect(() => new WholeBody({ kind: 'chunked' }, 10).read(chunked(['x'.repeat(11)]), 0, 18)).toThrow(ProtocolError);
  });
});

describe('readChunk', () => {
  it.each(['\r\n', 'g\r\n', '-1\r\n', '5\rx', '1\r\nab\r\n', '1\r\na\n\n', 'fffffffff\r\n', '0\r\nbad\n\n'])(
    'refuses %j',
    (text) => {
      const wire = Buffer.from(text);
      expect(() => readChunk(wire, 0, wire.length)).toThrow(ProtocolError);
    },
  );

  it('does not wait for ever for a line that never ends', () => {
    expect(() => readChunk(Buffer.from(`1;${'x'.repeat(400)}`), 0, 402)).toThrow(ProtocolError);
    const trailers = Buffer.from(`0\r\n${'a: b\r\n'.repeat(4_000)}`);
    expect(() => readChunk(trailers, 0, trailers.length)).toThrow(ProtocolError);
    const zeros = Buffer.alloc(500, 0x30);
    expect(() => readChunk(zeros, 0, zeros.length)).toThrow(ProtocolError);
  });
});
