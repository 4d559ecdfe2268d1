import { describe, expect, it } from 'vitest';
import { ProtocolError, parseResponseHead } from '../../../../src/frontend/upstream/response-head.ts';

const head = (...lines: string[]) => parseResponseHead(lines.join('\r\n'));

describe('parseResponseHead', () => {
  it('reads status, headers and framing', () => {
    const chunked = head(
      'HTTP/1.1 200 OK',
      'Content-Type: text/event-stream',
      'Transfer-Encoding: chunked',
      'X-A: 1',
      'x-a: 2',
    );
    expect(chunked).toMatchObject({ status: 200, framing: { kind: 'chunked' }, keepAlive: true });
    expect(chunked.headers.get('x-a')).toBe('1, 2');
    expect(head('HTTP/1.1 500 Internal Server Error', 'content-length: 12').framing).toEqual({
      kind: 'length',
      length: 12,
    });
    expect(head('HTTP/1.1 200 OK', 'content-length:0').framing.kind).toBe('none');
    expect(head('HTTP/1.1 204 No Content').framing.kind).toBe('none');
  });

  it('knows when a connection can be used again', () => {
    expect(head('HTTP/1.1 200 OK', 'content-length: 1', 'Connection: Close').keepAlive).toBe(false);
    expect(head('HTTP/1.0 200 OK', 'content-length: 1').keepAlive).toBe(false);
    expect(head('HTTP/1.0 200 OK', 'content-length: 1', 'connection: keep-alive').keepAlive).toBe(true);
    expect(head('HTTP/1.1 200 OK')).toMatchObject({ framing: { kind: 'close' }, keepAlive: false });
  });

  it.each([
    ['garbage'],
    ['HTTP/2 200'],
    ['HTTP/1.1 20 OK'],
    ['HTTP/1.1 200 OK\r\nno colon'],
    ['HTTP/1.1 200 OK\r\nname : space before colon'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2'],
    ['HTTP/1.1 200 OK\r\ncontent-length: +1'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked'],
  ])('refuses %j', (text) => {
    expect(() => parseResponseHead(text)).toThrow(ProtocolError);
  });
});
