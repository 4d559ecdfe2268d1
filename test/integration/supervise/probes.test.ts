import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Check } from '../../../src/plan/launch-plan.ts';
import { type CheckResult, describeCheck, runCheck } from '../../../src/supervise/probes.ts';
import { freePort } from '../../helpers/free-port.ts';

const servers: (http.Server | net.Server)[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await once(server, 'close');
  }
});

const sockets: net.Socket[] = [];

async function listen<T extends http.Server | net.Server>(server: T): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** Answers every request with this status and body, and keeps what it was asked. */
async function answering(status: number, body: string) {
  const asked: { method: string; url: string; body: string }[] = [];
  const port = await listen(
    http.createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      asked.push({ method: request.method!, url: request.url!, body: text });
      response.writeHead(status).end(body);
    }),
  );
  return { port, asked };
}

const run = (
  check: Check,
  port: number,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<CheckResult> =>
  runCheck(
    check,
    { url: `http://127.0.0.1:${port}`, ports: { http: port } },
    options.timeoutMs ?? 10_000,
    options.signal ?? new AbortController().signal,
  );

const HTTP: Check = { kind: 'http', path: '/health' };
const MODEL: Check = { kind: 'model-listed', model: 'tiny' };
const GENERATE: Check = { kind: 'generate', model: 'tiny' };
const TCP: Check = { kind: 'tcp', port: 'http' };
const OK = { ok: true, detail: '' };

describe('an HTTP check', () => {
  it('passes on 200 only, and quotes what was answered instead', async () => {
    const good = await answering(200, 'fine');
    expect(await run(HTTP, good.port)).toEqual(OK);
    expect(good.asked).toEqual([{ method: 'GET', url: '/health', body: '' }]);
    const loading = await answering(503, 'loading\n  shard 3 of 7');
    expect(await run(HTTP, loading.port)).toEqual({
      ok: false,
      detail: 'GET /health answers 503 loading shard 3 of 7',
    });
    const empty = await answering(204, '');
    expect((await run(HTTP, empty.port)).ok).toBe(false);
    const redirect = await answering(302, 'elsewhere');
    expect((await run(HTTP, redirect.port)).ok).toBe(false);
  });

  it('cuts a long answer short', async () => {
    const { port } = await answering(500, 'x'.repeat(100_000));
    expect((await run(HTTP, port)).detail.length).toBeLessThan(300);
  });
});

describe('a model check', () => {
  it('passes when the model is listed', async () => {
    const { port } = await answering(200, JSON.stringify({ data: [{ id: 'other' }, { id: 'tiny' }] }));
    expect(await run(MODEL, port)).toEqual(OK);
  });

  it.each([
    ['{"data":[{"id":"other"},{"id":"more"}]}', '/v1/models lists other, more'],
    ['{"data":[]}', '/v1/models lists nothing'],
    ['{}', '/v1/models lists nothing'],
  ])('says what %s lists', async (body, detail) => {
    expect(await run(MODEL, (await answering(200, body)).port)).toEqual({ ok: false, detail });
  });

  it.each(['null', '[1', '{"data":7}', '<html>', ''])('is not fooled or felled by %j', async (body) => {
    const { ok, detail } = await run(MODEL, (await answering(200, body)).port);
    expect(ok).toBe(false);
    expect(detail).not.toBe('');
  });
});

describe('a generate check', () => {
  it('wants a token', async () => {
    const good = await answering(200, JSON.stringify({ usage: { completion_tokens: 1 } }));
    expect(await run(GENERATE, good.port)).toEqual(OK);
    expect(JSON.parse(good.asked[0]!.body)).toMatchObject({ model: 'tiny', max_tokens: 1 });
    const none = await answering(200, JSON.stringify({ usage: { completion_tokens: 0 } }));
    expect(await run(GENERATE, none.port)).toEqual({ ok: false, detail: 'a completion came back with no token' });
    const broken = await answering(500, 'CUDA error');
    expect(await run(GENERATE, broken.port)).toEqual({ ok: false, detail: 'a completion answers 500 CUDA error' });
    expect((await run(GENERATE, (await answering(200, 'null')).port)).ok).toBe(false);
  });
});

describe('a TCP check', () => {
  it('passes when something accepts', async () => {
    expect(await run(TCP, await listen(net.createServer((socket) => socket.end())))).toEqual(OK);
  });

  it('knows ports by name only', async () => {
    expect(await run({ kind: 'tcp', port: 'sideChannel' }, 1)).toEqual({
      ok: false,
      detail: 'it has no port called sideChannel',
    });
  });
});

describe.each([HTTP, MODEL, GENERATE])('any HTTP check ($kind)', (check) => {
  it('against a port where nothing listens', async () => {
    expect(await run(check, await freePort())).toEqual({
      ok: false,
      detail: `${describeCheck(check)}: nothing listens yet`,
    });
  });

  it('against a server that accepts and is silent ends in time', async () => {
    const port = await listen(net.createServer((socket) => socket.on('error', () => {})));
    expect(await run(check, port, { timeoutMs: 30.5 })).toEqual({
      ok: false,
      detail: `${describeCheck(check)}: no answer in time`,
    });
  });

  it('against a server that stalls in the middle of its body ends in time', async () => {
    const port = await listen(
      http.createServer((_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"data":');
      }),
    );
    expect((await run(check, port, { timeoutMs: 100 })).ok).toBe(false);
  });

  it('against garbage, and against one that hangs up', async () => {
    const garbage = await listen(
      net.createServer((socket) => socket.on('error', () => {}).end('\0\0not http\r\n\r\n')),
    );
    expect((await run(check, garbage)).ok).toBe(false);
    const rude = await listen(net.createServer((socket) => socket.on('error', () => {}).destroy()));
    expect((await run(check, rude)).ok).toBe(false);
  });

  it('ends with its signal', async () => {
    const port = await listen(net.createServer((socket) => socket.on('error', () => {})));
    const stop = new AbortController();
    const result = run(check, port, { signal: stop.signal });
    stop.abort();
    expect((await result).ok).toBe(false);
  });
});

describe('a TCP check that fails', () => {
  it('says that nothing listens', async () => {
    expect(await run(TCP, await freePort())).toEqual({
      ok: false,
      detail: 'port http to accept a connection: nothing listens yet',
    });
  });
});
