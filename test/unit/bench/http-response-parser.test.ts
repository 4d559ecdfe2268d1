import { describe, expect, it } from 'vitest';
import { MalformedResponse, ResponseParser } from '../../../src/bench/http-response-parser.ts';

interface Seen {
  status?: number;
  headers?: ReadonlyMap<string, string>;
  body: string;
  end?: { atMs: number; reusable: boolean };
}

function read(pieces: readonly (Buffer | string)[], close = false): Seen {
  const seen: Seen = { body: '' };
  const parser = new ResponseParser({
    onHead: (status, headers) => Object.assign(seen, { status, headers }),
    onBody: (bytes) => {
      seen.body += bytes.toString('latin1');
    },
    onEnd: (atMs, reusable) => {
      seen.end = { atMs, reusable };
    },
  });
  for (const [index, piece] of pieces.entries()) parser.push(Buffer.from(piece), index);
  if (close) parser.close(pieces.length);
  return seen;
}

const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nT: 1\r\n\r\n';

describe('ResponseParser', () => {
  it('reads chunked bodies at every split', () => {
    for (let at = 1; at < CHUNKED.length; at += 1) {
      const seen = read([CHUNKED.slice(0, at), CHUNKED.slice(at)]);
      expect(seen).toMatchObject({ status: 200, body: 'hello world', end: { atMs: 1, reusable: true } });
      expect(seen.headers?.get('x-a')).toBe('b');
    }
    expect(read([...CHUNKED])).toMatchObject({ body: 'hello world' });
  });

  it('reads counted bodies, empty ones, and those that end with the connection', () => {
    expect(read(['HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab', 'c'])).toMatchObject({
      body: 'abc',
      end: { atMs: 1, reusable: true },
    });
    expect(read(['HTTP/1.1 204 No Content\r\n\r\n'])).toMatchObject({ body: '', end: { atMs: 0 } });
    expect(read(['HTTP/1.1 200 OK\r\n\r\nab', 'c'], true)).toMatchObject({
      body: 'abc',
      end: { atMs: 2, reusable: false },
    });
    expect(read(['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n']).end).toEqual({
      atMs: 0,
      reusable: false,
    });
    expect(read(['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n']).end?.reusable).toBe(false);
  });

  it('skips interim responses', () => {
    expect(read(['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'])).toMatchObject({
      status: 200,
      body: 'x',
    });
  });

  it('reports a connection that closes too early as incomplete', () => {
    const seen = read([CHUNKED.slice(0, 80)], true);
    expect(seen.end).toBeUndefined();
    expect(read(['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab'], true).end).toBeUndefined();
  });

  it('refuses what is no response', () => {
    const bad = [
      'SSH-2.0-OpenSSH_9.2\r\n',
      'garbage',
      '\0\0\0\0',
      'HTTP/1.1 abc\r\n\r\n',
      'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`,
    ];
    for (const text of bad) expect(() => read([text]), text.slice(0, 60)).toThrow(MalformedResponse);
  });
});
