import { describe, expect, it } from 'vitest';
import { ResponseMeter } from '../../../src/bench/response-meter.ts';

const SSE = new Map([['content-type', 'text/event-stream; charset=utf-8']]);
const USAGE = { prompt_tokens: 4, completion_tokens: 2 };
const chunk = (text: string, finish_reason: string | null = null) => ({ choices: [{ text, finish_reason }] });

/** Streams events one per millisecond. */
function stream(events: readonly unknown[], headers: Iterable<[string, string]> = [], complete = true): ResponseMeter {
  const meter = new ResponseMeter();
  meter.onHead(200, new Map([...SSE, ...headers]), 0);
  for (const [index, event] of events.entries()) {
    const data = typeof event === 'string' ? event : JSON.stringify(event);
    meter.onBody(Buffer.from(`data: ${data}\n\n`), index);
  }
  if (complete) meter.onEnd(events.length, true);
  return meter;
}

function whole(status: number, body: string, type = 'application/json'): ResponseMeter {
  const meter = new ResponseMeter();
  meter.onHead(status, new Map([['content-type', type]]), 0);
  meter.onBody(Buffer.from(body), 1);
  meter.onEnd(2, true);
  return meter;
}

describe('ResponseMeter', () => {
  it('stamps chunks with content only, and reads usage and workers', () => {
    const headers: [string, string][] = [
      ['x-dynamo-prefill-worker', 'p0'],
      ['x-dynamo-decode-worker', 'd1'],
    ];
    const meter = stream(
      [chunk(''), chunk('a'), chunk('b', 'length'), { choices: [], usage: USAGE }, '[DONE]'],
      headers,
    );
    expect(meter.verdict(true)).toBeNull();
    expect(meter.result()).toEqual({
      contentMs: [1, 2],
      firstOutputMs: 1,
      usage: { promptTokens: 4, completionTokens: 2, cachedTokens: null },
      finishReason: 'length',
      servedBy: { prefill: 'p0', decode: 'd1' },
    });
    expect(stream([chunk('a')], [['x-dynamo-worker', 'w2']]).servedBy).toEqual({ prefill: null, decode: 'w2' });
  });

  it('takes reasoning as the first token but not as the first output', () => {
    const meter = stream([
      { choices: [{ delta: { reasoning_content: 'hm' } }] },
      { choices: [{ delta: { content: 'so' }, finish_reason: 'stop' }] },
    ]);
    expect(meter.result()).toMatchObject({ contentMs: [0, 1], firstOutputMs: 1 });
  });

  it('refuses what looks answered but is not', () => {
    const type = (meter: ResponseMeter, needsUsage = true) => meter.verdict(needsUsage)?.type;
    const usage = { choices: [], usage: USAGE };
    expect(type(stream([chunk('a'), chunk('b', 'length')]))).toBe('missing_usage');
    expect(type(stream([chunk('a'), chunk('b', 'length')]), false)).toBeUndefined();
    expect(type(stream([chunk('a'), usage]))).toBe('truncated');
    expect(type(stream([chunk('a', 'length'), usage], [], false))).toBe('truncated');
    expect(type(stream([chunk('a', 'abort'), usage]))).toBe('failed_finish');
    expect(type(stream([chunk('', 'length'), usage]))).toBe('zero_tokens');
    expect(type(stream([chunk('a', 'stop'), { usage: { prompt_tokens: 4, completion_tokens: 0 } }]))).toBe(
      'zero_tokens',
    );
    expect(type(stream([chunk('a'), { error: { type: 'overloaded', message: 'x' } }, '[DONE]']))).toBe('overloaded');
    expect(type(stream([chunk('a'), '{"choices":[{"te', usage]))).toBe('invalid_json');
    expect(type(stream([]))).toBe('truncated');
  });

  it('reads whole answers and error bodies', () => {
    const answer = whole(200, JSON.stringify({ ...chunk('ab', 'length'), usage: USAGE }));
    expect(answer.verdict(true)).toBeNull();
    expect(answer.contentMs).toEqual([2]);
    const error = JSON.stringify({ error: { type: 'no_instances', message: 'none' } });
    expect(whole(503, error).verdict(true)).toEqual({ code: 503, type: 'no_instances', message: 'none' });
    expect(whole(502, '<html>bad gateway</html>', 'text/html').verdict(true)).toEqual({
      code: 502,
      type: 'http_status',
      message: 'HTTP 502',
    });
    expect(whole(200, 'not json').verdict(true)?.type).toBe('invalid_json');
  });
});
