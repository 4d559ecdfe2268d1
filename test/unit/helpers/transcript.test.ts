import { describe, expect, it } from 'vitest';
import { findDifference, normalise, readSteps } from '../../helpers/transcript.ts';

describe('transcripts of documents', () => {
  it('are read from console blocks', () => {
    const page = '```sh\n$ not this\n```\n\n```console\n$ a | b\none\n\n…\n$ c\n```\n';
    expect(readSteps(page)).toEqual([
      { command: 'a | b', expected: ['one', '', '…'] },
      { command: 'c', expected: [] },
    ]);
  });

  it('fit whatever the times, pids and folders', () => {
    const lines = ['ready in 1.1 s: http://127.0.0.1:8000/v1', 'decode-0   ready  29968  8102  0         4.1 s'];
    expect(
      findDifference(lines, [
        'ready in 950 ms: http://127.0.0.1:8000/v1',
        'decode-0   ready  7    8102  0         12 ms',
      ]),
    ).toBe(undefined);
    expect(normalise('x: 5 processes on local, from /a/b/q.yaml')).toBe('x: 5 processes on local, from FOLDER/q.yaml');
  });

  it.each([
    [['a', 'b'], ['a', 'c'], 'expected: b\nprinted:  c'],
    [['a', 'b'], ['a'], 'expected: b\nprinted:  (nothing more)'],
    [['a'], ['a', 'b'], 'printed, and not in the document: b'],
    [['a', '…', 'c'], ['a', 'b'], 'expected: c\nprinted:  b'],
    [['a', 'c'], ['a', 'b', 'c'], 'expected: c\nprinted:  b'],
    [['4 processes'], ['5 processes'], 'expected: 4 processes\nprinted:  5 processes'],
  ])('%j is not %j', (expected, printed, difference) => {
    expect(findDifference(expected, printed)).toBe(difference);
  });

  it('fit a slow run too', () => {
    const slow = ['warm-up 3/4 · 1 s', 'requests 57/100 · 11.2 req/s', 'ready in 1 min 05 s', 'up 1 h 02 min'];
    const why = ['The start took 7.6 s: agents 717 ms, ready 3.0 s', 'decode-1 took 3.0 s to start: import 2.2 s'];
    expect(findDifference(['ready in 1.1 s', 'up 4.1 s'], [...slow, ...why])).toBeUndefined();
  });

  it('skip lines where the document does', () => {
    expect(findDifference(['a', '…', 'd', '…'], ['a', 'b', 'c', 'd', 'e'])).toBeUndefined();
    expect(findDifference(['…', 'b'], ['b'])).toBeUndefined();
  });
});
