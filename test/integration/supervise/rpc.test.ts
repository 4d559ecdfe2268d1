import { once } from 'node:events';
import { statSync } from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { connectSocket } from '../../../src/base/unix-socket.ts';
import { listenSocket, RpcPeer } from '../../../src/supervise/rpc.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

type Served = {
  echo: { params: { text: string }; result: { text: string } };
  refuse: { params: Record<string, never>; result: null };
  crash: { params: Record<string, never>; result: null };
  hang: { params: Record<string, never>; result: null };
};
type Told = { news: { n: number } };
type ServerPeer = RpcPeer<Served, Record<never, never>, Told>;
type ClientPeer = RpcPeer<Record<never, never>, Served, Record<never, never>, Told>;

let tmp: ReturnType<typeof tmpDir>;
let file: string;
let server: net.Server;
let accepted: ServerPeer[];
const opened: { close(): void }[] = [];
beforeEach(async () => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'rpc.sock');
  accepted = [];
  server = await listenSocket(file, (socket) => {
    const peer: ServerPeer = new RpcPeer(socket);
    accepted.push(peer);
    peer.handle('echo', ({ text }) => ({ text }));
    peer.handle('refuse', () => {
      throw new DynamoError('PORT_IN_USE', 'port 8000 is taken', { hint: 'Use another.', details: ['held by pid 7'] });
    });
    peer.handle('crash', () => {
      throw new TypeError('undefined is not a function');
    });
    peer.handle('hang', () => new Promise(() => {}));
    peer.listen();
  });
});
afterEach(async () => {
  for (const peer of [...accepted, ...opened.splice(0)]) peer.close();
  server.close();
  await once(server, 'close');
  tmp[Symbol.dispose]();
});

async function client(): Promise<ClientPeer> {
  const peer: ClientPeer = new RpcPeer(await connectSocket(file));
  opened.push(peer);
  return peer;
}

describe('requests', () => {
  it('are answered, many at once, each with its own answer', async () => {
    const peer = (await client()).listen();
    const texts = Array.from({ length: 200 }, (_, index) => `${index} ${'ü'.repeat(index)}`);
    const answers = await Promise.all(texts.map((text) => peer.request('echo', { text })));
    expect(answers.map((answer) => answer.text)).toEqual(texts);
  });

  it('carry a DynamoError whole', async () => {
    const peer = (await client()).listen();
    const error = await peer.request('refuse', {}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DynamoError);
    expect((error as DynamoError).toJSON()).toEqual({
      code: 'PORT_IN_USE',
      message: 'port 8000 is taken',
      hint: 'Use another.',
      details: ['held by pid 7'],
      exit: 4,
    });
  });

  it('carry a bug as a bug, with the stack of the other side', async () => {
    const peer = (await client()).listen();
    const error = await peer.request('crash', {}).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(DynamoError);
    expect(String(error)).toContain('crash: undefined is not a function');
    expect(String(error)).toContain('rpc.test.ts');
    expect(await peer.request('echo', { text: 'still here' })).toEqual({ text: 'still here' });
  });

  it('for a method nobody handles, or with parameters of another shape, fail alone', async () => {
    const peer = (await client()).listen() as unknown as RpcPeer<
      Record<never, never>,
      Record<string, { params: unknown; result: unknown }>
    >;
    await expect(peer.request('no-such-method', {})).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await expect(peer.request('echo', null)).rejects.toThrow(/echo/);
    expect(await peer.request('echo', { text: 'fine' })).toEqual({ text: 'fine' });
  });

  it('give up after their timeout; a late answer does no harm', async () => {
    const peer = (await client()).listen();
    await expect(peer.request('hang', {}, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: 'no answer to hang within 20 ms',
    });
    expect(await peer.request('echo', { text: 'x' }, { timeoutMs: 10_000 })).toEqual({ text: 'x' });
  });
});

describe('a peer that vanishes', () => {
  it('in the middle of a request rejects it', async () => {
    const peer = (await client()).listen();
    const answer = peer.request('hang', {});
    const rejected = expect(answer).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await waitFor('the server to know the client', () => accepted.length === 1);
    accepted[0]!.close();
    await rejected;
    await peer.closed;
    expect(peer.open).toBe(false);
  });

  it('before a request could be written to it is known to have gone when that is rejected', async () => {
    const gone = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
      destroy: (error, done) => void setImmediate(() => setImmediate(done, error)),
    });
    const peer: ClientPeer = new RpcPeer<Record<never, never>, Served, Record<never, never>, Told>(gone).listen();
    await expect(peer.request('echo', { text: '' })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    expect(peer.open).toBe(false);
  });

  it('makes later requests fail at once and notifications vanish', async () => {
    const peer = (await client()).listen();
    await peer.request('echo', { text: '' });
    const other = accepted[0]!;
    peer.close();
    await other.closed;
    for (let n = 0; n < 3; n += 1) other.notify('news', { n });
    await peer.closed;
    await expect(peer.request('echo', { text: '' })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  it('while it is being told something does not end the teller', async () => {
    const peer = (await client()).listen();
    await peer.request('echo', { text: '' });
    const other = accepted[0]!;
    peer.close();
    // Not yet known here to be gone.
    for (let n = 0; n < 100; n += 1) other.notify('news', { n });
    await other.closed;
    expect(await (await client()).listen().request('echo', { text: 'served on' })).toEqual({ text: 'served on' });
  });

  it('hears nothing that was sent before it listened lost', async () => {
    const peer = await client();
    const heard: number[] = [];
    peer.on('news', ({ n }) => heard.push(n));
    await waitFor('the server to know the client', () => accepted.length === 1);
    for (let n = 0; n < 5; n += 1) accepted[0]!.notify('news', { n });
    peer.listen();
    await waitFor('the news', () => heard.length === 5);
    expect(heard).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('garbage on the socket', () => {
  it.each([
    ['no protocol at all', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a length that is none', 'Content-Length: many\r\n\r\n{}'],
    ['a body that is not JSON', 'Content-Length: 5\r\n\r\n{{{{{'],
    ['JSON that is no message', 'Content-Length: 4\r\n\r\nnull'],
    ['bytes', Buffer.from([0, 255, 13, 10, 13, 10, 1, 2, 3])],
    ['half a message, then the end', 'Content-Length: 500\r\n\r\n{"jsonrpc"'],
  ])('%s: others are served on, and the connection can be closed', async (_, bytes) => {
    const socket = await connectSocket(file);
    socket.on('error', () => {});
    socket.write(bytes);
    const peer = (await client()).listen();
    expect(await peer.request('echo', { text: 'served' })).toEqual({ text: 'served' });
    socket.end();
    await waitFor('the server to let go', () => !accepted[0]!.open);
    expect(await peer.request('echo', { text: 'served on' })).toEqual({ text: 'served on' });
  });
});

describe('sockets', () => {
  it('are open to their owner alone, and a stale file is no obstacle', async () => {
    expect(statSync(file).mode & 0o077).toBe(0);
    const again = await listenSocket(file, (socket) => socket.end());
    expect((await connectSocket(file)).destroy().destroyed).toBe(true);
    again.close();
    await once(again, 'close');
  });

  it('nobody listens on say so', async () => {
    await expect(connectSocket(path.join(tmp.dir, 'none.sock'))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      exitStatus: 7,
    });
  });
});
