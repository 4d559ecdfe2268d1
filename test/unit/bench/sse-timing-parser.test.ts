import { describe, expect, it } from 'vitest';
import { SseTimingParser } from '../../../src/bench/sse-timing-parser.ts';

const STREAM = Buffer.from(
  ': hello\n\ndata: {"a":"é"}\n\nevent: x\r\nid: 1\r\ndata:{"b":1}\r\n\r\ndata: one\ndata: two\n\nretry: 5\n\ndata: [DONE]\n\ndata: cut off',
);
const EVENTS = ['{"a":"é"}', '{"b":1}', 'one\ntwo', '[DONE]'];

/** Feeds pieces one per millisecond and returns what was seen and when. */
function parse(pieces: readonly Buffer[]): [data: string, atMs: number][] {
  const seen: [string, number][] = [];
  const parser = new SseTimingParser((data, atMs) => seen.push([data, atMs]));
  for (const [index, piece] of pieces.entries()) parser.push(piece, index);
  return seen;
}

describe('SseTimingParser', () => {
  it('finds the same events wherever the stream is split, stamped with the piece that completed them', () => {
    for (let at = 1; at < STREAM.length; at += 1) {
      const seen = parse([STREAM.subarray(0, at), STREAM.subarray(at)]);
      expect(seen.map(([data]) => data)).toEqual(EVENTS);
      const first = STREAM.indexOf('}\n\n') + 3;
      expect(seen[0]![1]).toBe(at >= first ? 0 : 1);
    }
  });

  it('works byte by byte', () => {
    const pieces = Array.from(STREAM, (byte) => Buffer.from([byte]));
    const seen = parse(pieces);
    expect(seen.map(([data]) => data)).toEqual(EVENTS);
    expect(seen[0]![1]).toBe(STREAM.indexOf('}\n\n') + 2);
  });

  it('does not keep the memory it was given', () => {
    const shared = Buffer.from('data: first');
    const seen: string[] = [];
    const parser = new SseTimingParser((data) => seen.push(data));
    parser.push(shared, 0);
    shared.fill('x');
    parser.push(Buffer.from('\n\n'), 1);
    expect(seen).toEqual(['first']);
  });
});
