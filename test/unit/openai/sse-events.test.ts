import { describe, expect, it } from 'vitest';
import { dataEvent, isDone, lastEventEnd, splitEvents } from '../../../src/openai/sse-events.ts';

describe('splitEvents', () => {
  it('splits on blank lines of either kind and keeps every byte', () => {
    const text = 'data: {"a":1}\n\n: ping\n\ndata:x\r\n\r\nevent: e\ndata: one\ndata: two\n\ndata: rest';
    const events = splitEvents(Buffer.from(text));
    expect(Buffer.concat(events.map((event) => event.raw)).toString()).toBe(text);
    expect(events.map((event) => event.data?.toString())).toEqual(['{"a":1}', undefined, 'x', 'one\ntwo', 'rest']);
  });

  it('finds the end of the last whole event', () => {
    expect(lastEventEnd(Buffer.from('data: a\n\ndata: b\n'))).toBe(9);
    expect(lastEventEnd(Buffer.from('data: a\n\ndata: b\n\n'))).toBe(18);
    expect(lastEventEnd(Buffer.from('data: a\r\n\r\ndata'))).toBe(11);
    expect(lastEventEnd(Buffer.from('data: a\n'))).toBe(0);
    expect(lastEventEnd(Buffer.alloc(0))).toBe(0);
  });

  it('makes and knows its own events', () => {
    expect(dataEvent('{}').toString()).toBe('data: {}\n\n');
    expect(isDone(splitEvents(Buffer.from('data: [DONE]\n\n'))[0]!.data!)).toBe(true);
  });
});
