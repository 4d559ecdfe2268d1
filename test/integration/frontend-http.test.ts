import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { startHarness } from '../helpers/frontend-harness.ts';
import {
  chunk,
  decodeScript,
  doneEvent,
  event,
  roleEvent,
  STREAM_END,
  STREAM_HEAD,
  sendBody,
  startScriptedWorker,
  streamOf,
  tokenEvent,
  type WorkerScript,
} from '../helpers/scripted-worker.ts';
import { waitFor } from '../helpers/until.ts';

type Options = Parameters<typeof startHarness>[0];

/** A frontend with aggregated workers `worker-0`, `worker-1`, … running the scripts. */
async function serve(scripts: WorkerScript[], options: Options = {}) {
  const stack = new AsyncDisposableStack();
  const workers = await Promise.all(scripts.map((script) => startScriptedWorker(script)));
  for (const worker of workers) stack.use(worker);
  const harness = stack.use(await startHarness(options));
  const leases = [];
  for (const [index, worker] of workers.entries()) leases.push(await harness.publish(`worker-${index}`, worker));
  return { ...harness, workers, leases, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Sends raw bytes and collects the answer until the frontend closes or `until` is seen. */
async function raw(port: number, bytes: string, until?: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (data) => {
    text += data.toString('latin1');
  });
  socket.write(bytes, 'latin1');
  const closed = once(socket, 'close');
  if (until === undefined) await closed;
  else await waitFor(`${until} in ${text}`, () => text.includes(until));
  socket.destroy();
  return text;
}

const BODY = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}';
const post = (body: string, extra = '') =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${extra}\r\n${body}`;

describe('HTTP surface', () => {
  it('serves models, health, liveness, metrics and decisions', async () => {
    await using harness = await serve([decodeScript]);
    const get = async (path: string) => (await fetch(`${harness.url}${path}`)).json();
    expect(await get('/v1/models')).toMatchObject({
      object: 'list',
      data: [{ id: 'demo', object: 'model', max_model_len: 131_072 }],
    });
    expect(await get('/health')).toMatchObject({
      status: 'ready',
      deployment: 'demo',
      model: ['demo'],
      instances: [{ name: 'worker-0', generation: 1, role: 'aggregated', state: 'ready', inFlight: 0 }],
    });
    expect(await get('/live')).toMatchObject({ status: 'live' });
    await (await harness.post({})).text();
    expect(await get('/router/decisions')).toMatchObject({
      decisions: [{ role: 'aggregated', selection: { worker: 'worker-0' } }],
    });
    expect(await harness.metric('dynamo_frontend_requests_total', 'status="success"')).toBe(1);
    expect(await harness.metric('dynamo_frontend_output_tokens_total')).toBe(2);
    expect(await harness.metric('dynamo_frontend_active_requests')).toBe(0);
    expect((await fetch(`${harness.url}/nope`)).status).toBe(404);
    expect(JSON.stringify(harness.log)).not.toContain('"hi"');
  });

  it.each([
    ['{"model":"demo",', 400, 'invalid_request'],
    ['{"model":"demo","messages":[]}', 400, 'invalid_request'],
    ['', 400, 'invalid_request'],
    ['\u0000\u00ff', 400, 'invalid_request'],
    ['{"model":"other","messages":[{"role":"user"}]}', 404, 'model_not_found'],
    [`{"model":"demo","messages":[{"role":"user","content":"${'x'.repeat(2_000_000)}"}]}`, 413, 'request_too_large'],
  ])('answers body %# with an OpenAI error', async (body, status, code) => {
    await using harness = await serve([decodeScript], { bodyLimitBytes: 1_048_576 });
    const response = await fetch(`${harness.url}/v1/chat/completions`, { method: 'POST', body });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code, type: 'invalid_request_error' } });
    expect(response.headers.get('x-request-id')).not.toBeNull();
    expect((await harness.post({})).status).toBe(200);
  });

  it('stops a chunked upload at the limit', async () => {
    await using harness = await serve([decodeScript], { bodyLimitBytes: 100_000 });
    const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
    const answer = await raw(harness.frontend.port, head + chunk('x'.repeat(70_000)).repeat(3));
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  it('survives garbage, smuggling attempts, half requests and pipelining', async () => {
    await using harness = await serve([decodeScript]);
    const { port } = harness.frontend;
    expect(await raw(port, '\x16\x03\x01\x02\x00')).toMatch(/^HTTP\/1.1 400 /);
    const smuggle =
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(await raw(port, smuggle)).toMatch(/^HTTP\/1.1 400 /);
    expect(await raw(port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
    const half = net.connect(port, '127.0.0.1');
    half.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"model"');
    await waitFor('the half request to be served', () => harness.frontend.context.active.size === 1);
    half.destroy();
    await waitFor('the half request to be given up', () => harness.frontend.context.active.size === 0);
    const stream = `${BODY.slice(0, -1)},"stream":true}`;
    const both = await raw(port, post(BODY) + post(stream) + post(BODY, 'connection: close\r\n'));
    expect(both.match(/HTTP\/1.1 200 OK/g)).toHaveLength(3);
    expect(both.match(/\[DONE\]/g)).toHaveLength(1);
    expect(both).not.toContain('error');
  });

  it('answers Expect: 100-continue, and HTTP/1.0 without chunks', async () => {
    await using harness = await serve([decodeScript]);
    const { port } = harness.frontend;
    const expecting = await raw(port, post(BODY, 'expect: 100-continue\r\nconnection: close\r\n'));
    expect(expecting).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
    const stream = `${BODY.slice(0, -1)},"stream":true}`;
    const old = await raw(port, post(stream).replace('HTTP/1.1', 'HTTP/1.0'));
    expect(old.toLowerCase()).not.toContain('transfer-encoding');
    expect(old.slice(old.indexOf('\r\n\r\n') + 4)).toMatch(/^data: \{.*\}\n\n[\s\S]*data: \[DONE\]\n\n$/);
  });

  it('keeps a client’s connection in step after each kind of answer', async () => {
    const scripts: string[] = [];
    await using harness = await serve([
      ({ socket, json }) => {
        const kind = String(json['user']);
        scripts.push(kind);
        if (kind === 'stream') socket.write(streamOf(['a', 'b']));
        else if (kind === 'error-after')
          socket.write(STREAM_HEAD + roleEvent + tokenEvent('a') + tokenEvent('b', 'abort') + doneEvent + STREAM_END);
        else if (kind === 'bad') sendBody(socket, '{"error":{}}', '400 Bad Request');
        else sendBody(socket, '{"choices":[]}');
      },
    ]);
    const kinds = ['stream', 'error-after', 'whole', 'bad', 'stream', 'whole'];
    const request = (kind: string, close: boolean) =>
      post(
        JSON.stringify({
          model: 'demo',
          user: kind,
          stream: kind === 'stream' || kind === 'error-after',
          messages: [{ role: 'user' }],
        }),
        close ? 'connection: close\r\n' : '',
      );
    const wire = kinds.map((kind, index) => request(kind, index === kinds.length - 1)).join('');
    const answers = (await raw(harness.frontend.port, wire)).split(/(?=HTTP\/1\.1 )/);
    expect(scripts.filter((kind) => kind !== 'error-after')).toEqual(kinds.filter((kind) => kind !== 'error-after'));
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(['200', '502', '200', '400', '200', '200']);
  });
});

describe('a worker that fails', () => {
  it.each([
    ['answers 500', ({ socket }) => sendBody(socket, '{}', '500 Internal Server Error')],
    ['answers with finish reason abort', ({ socket }) => sendBody(socket, '{"choices":[{"finish_reason":"abort"}]}')],
    ['answers with an error object', ({ socket }) => sendBody(socket, '{"error":{"message":"x"}}')],
    ['closes after the head', ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"a"')],
    [
      'breaks chunked framing',
      ({ socket }) => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
    ],
  ] as [string, WorkerScript][])(
    'when it %s the request goes to another, and the client sees nothing of it',
    async (_, script) => {
      await using harness = await serve([script, decodeScript]);
      for (let index = 0; index < 4; index += 1) {
        const response = await harness.post({});
        expect([response.status, response.headers.get('x-dynamo-worker')]).toEqual([200, 'worker-1']);
        await response.text();
      }
      expect(harness.workers[0]!.requests.length).toBeGreaterThan(0);
    },
  );

  it.each([
    ['dies', ''],
    ['reports an error', event({ error: { message: 'prompt', code: 500 } }) + doneEvent + STREAM_END],
    ['aborts', tokenEvent('', 'abort') + doneEvent + STREAM_END],
    ['ends without an end', STREAM_END],
    ['breaks framing', 'zz\r\n'],
  ])('when it %s after content the stream ends with one error event and nothing half', async (_, rest) => {
    let breakOff = () => {};
    await using harness = await serve([
      ({ socket }) => {
        socket.write(STREAM_HEAD + roleEvent + tokenEvent('Hel'));
        breakOff = () => socket.end(rest);
      },
    ]);
    const response = await harness.post({ stream: true });
    expect(response.status).toBe(200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('Hel')) text += (await reader.read()).value;
    breakOff();
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    const events = text.trimEnd().split('\n\n');
    expect(events).toHaveLength(3);
    expect(JSON.parse(events.at(-1)!.slice(6))).toEqual({
      error: expect.objectContaining({ type: 'server_error', code: 'upstream_error' }),
    });
    expect(events.join('')).not.toContain('prompt');
    await waitFor(
      'the request to be counted',
      async () => (await harness.metric('dynamo_frontend_requests_total', 'status="error"')) === 1,
    );
  });

  it('times out a silent worker', async () => {
    await using harness = await serve([() => {}], { requestTimeoutMs: 200 });
    const response = await harness.post({});
    expect([response.status, await response.json()]).toMatchObject([504, { error: { code: 'upstream_timeout' } }]);
    await waitFor('the worker to be told', () => harness.workers[0]!.sockets.size === 0);
  });

  it('sends again when a kept connection turns out to be dead, but only then', async () => {
    let cuts = 0;
    await using harness = await serve([
      (request, count) => {
        if (request.nth === 1 && cuts === 0) {
          cuts += 1;
          request.socket.destroy();
        } else decodeScript(request, count);
      },
    ]);
    const { requests } = harness.workers[0]!;
    // One that is idle for some seconds is not used again.
    await waitFor('a connection to be used twice', async () => {
      const response = await harness.post({});
      expect(response.status).toBe(200);
      await response.text();
      return cuts === 1;
    });
    expect(requests.slice(-2).map(({ nth }) => nth)).toEqual([1, 0]);
    expect(await harness.metric('dynamo_frontend_upstream_retries_total')).toBe(0);
    requests.at(-1)!.socket.destroy();
    harness.workers[0]!.script = ({ socket }) => socket.destroy();
    expect((await harness.post({})).status).toBe(502);
  });

  it('is skipped while it refuses connections and used again once it answers', async () => {
    await using harness = await serve([decodeScript, decodeScript]);
    const port = harness.workers[0]!.port;
    await harness.workers[0]!.die();
    for (let index = 0; index < 4; index += 1)
      expect((await harness.post({})).headers.get('x-dynamo-worker')).toBe('worker-1');
    expect(await harness.metric('dynamo_frontend_upstream_retries_total', 'reason="refused"')).toBe(1);
    await using back = await startScriptedWorker(decodeScript, port);
    await waitFor(
      'the worker to be used again',
      async () => (await harness.post({})).headers.get('x-dynamo-worker') === 'worker-0',
    );
    expect(back.requests.length).toBe(1);
  });
});

describe('membership', () => {
  it('stops choosing a draining worker, shows what it still has, and drops a withdrawn one', async () => {
    let finish = () => {};
    await using harness = await serve([
      ({ socket }) => {
        socket.write(STREAM_HEAD + roleEvent + tokenEvent('a'));
        finish = () => socket.write(tokenEvent('b', 'stop') + doneEvent + STREAM_END);
      },
      decodeScript,
    ]);
    const instances = async () =>
      (
        (await (await fetch(`${harness.url}/health`)).json()) as {
          instances: { name: string; state: string; inFlight: number }[];
        }
      ).instances;
    let open = await harness.post({ stream: true });
    if (open.headers.get('x-dynamo-worker') !== 'worker-0') {
      await open.text();
      open = await harness.post({ stream: true });
    }
    await harness.leases[0]!.drain();
    await waitFor('the drain to be acknowledged', async () => (await instances())[0]?.state === 'draining');
    expect((await instances())[0]).toMatchObject({ name: 'worker-0', inFlight: 1 });
    for (let index = 0; index < 3; index += 1)
      expect((await harness.post({})).headers.get('x-dynamo-worker')).toBe('worker-1');
    finish();
    expect(await open.text()).toContain('[DONE]');
    await waitFor('nothing in flight', async () => (await instances())[0]?.inFlight === 0);
    await harness.leases[0]!.release();
    await waitFor('it to be gone', async () => (await instances()).length === 1);
    await harness.leases[1]!.drain();
    await waitFor('the last to drain', async () => (await fetch(`${harness.url}/health`)).status === 503);
    expect((await harness.post({})).status).toBe(503);
  });

  it('keeps a lapsed worker while it is the same process, drops it when another answers there', async () => {
    const stop = new AbortController();
    await using worker = await startScriptedWorker(decodeScript);
    await using harness = await startHarness({ discoveryTtlMs: 300 });
    await harness.publish('worker-0', worker, {}, stop.signal);
    stop.abort();
    const state = () => harness.frontend.context.instances.get('worker-0')?.state;
    await waitFor('the lapse', () => state() === 'lapsed');
    expect((await harness.post({})).status).toBe(200);
    worker.processStart += 1;
    await waitFor('it to be dropped', () => state() === undefined);
    // The model may come back, so clients are told to retry.
    expect((await harness.post({})).status).toBe(503);
  });

  it('drops a lapsed worker that no longer answers', async () => {
    const stop = new AbortController();
    await using worker = await startScriptedWorker(decodeScript);
    await using harness = await startHarness({ discoveryTtlMs: 300 });
    await harness.publish('worker-0', worker, {}, stop.signal);
    await worker.die();
    stop.abort();
    await waitFor('it to be dropped', () => harness.frontend.context.instances.get('worker-0') === undefined);
  });
});

describe('clients', () => {
  it('a slow client slows its own worker only, and nothing piles up here', async () => {
    const big = 'x'.repeat(16_000);
    let written = 0;
    let drained = true;
    await using harness = await serve([
      ({ socket, json }) => {
        if (json['stream'] !== true) return sendBody(socket, '{"choices":[]}');
        socket.write(STREAM_HEAD + roleEvent);
        const more = (): void => {
          while (written < 4_000) {
            written += 1;
            if (!socket.write(tokenEvent(big))) {
              drained = false;
              socket.once('drain', () => {
                drained = true;
                more();
              });
              return;
            }
          }
          socket.write(tokenEvent('end', 'stop') + doneEvent + STREAM_END);
        };
        more();
      },
    ]);
    const client = net.connect(harness.frontend.port, '127.0.0.1');
    client.pause();
    client.write(post(`${BODY.slice(0, -1)},"stream":true}`, 'connection: close\r\n'));
    let last = -1;
    await waitFor('the worker to be held up', async () => {
      const stuck = !drained && written === last;
      last = written;
      // Others are served meanwhile.
      return (await harness.post({})).ok && stuck && written > 0;
    });
    expect(written).toBeLessThan(2_000);
    let bytes = 0;
    let tail = '';
    client.on('data', (data) => {
      bytes += data.length;
      tail = (tail + data.toString('latin1')).slice(-200);
    });
    client.resume();
    await once(client, 'close');
    expect(written).toBe(4_000);
    expect(bytes).toBeGreaterThan(4_000 * 16_000);
    expect(tail).toContain('[DONE]');
  });

  it('streams to many clients at once without mixing them up', async () => {
    await using harness = await serve([
      ({ socket, json }) =>
        socket.write(streamOf(Array.from({ length: 50 }, (_, index) => `${String(json['user'])}-${index}`))),
    ]);
    await Promise.all(
      Array.from({ length: 100 }, async (_, user) => {
        const text = await (await harness.post({ stream: true, user: `u${user}` })).text();
        expect(text.match(/"content":"u\d+-/g)).toEqual(Array.from({ length: 50 }, () => `"content":"u${user}-`));
      }),
    );
    expect(new Set(harness.workers[0]!.requests.map(({ socket }) => socket)).size).toBeLessThanOrEqual(100);
  });
});

describe('drain', () => {
  it('refuses new requests, finishes streams, then closes', async () => {
    let finish = () => {};
    await using harness = await serve([
      ({ socket }) => {
        socket.write(STREAM_HEAD + roleEvent + tokenEvent('a'));
        finish = () => socket.write(tokenEvent('b', 'stop') + doneEvent + STREAM_END);
      },
    ]);
    const open = await harness.post({ stream: true });
    const drained = harness.frontend.drain(10_000);
    const refused = await harness.post({});
    expect([refused.status, refused.headers.get('connection')]).toEqual([503, 'close']);
    expect(await refused.json()).toMatchObject({ error: { code: 'shutting_down' } });
    expect((await fetch(`${harness.url}/health`)).status).toBe(503);
    finish();
    expect(await open.text()).toContain('"content":"b"');
    expect(await drained).toBe(0);
    await expect(fetch(`${harness.url}/live`)).rejects.toThrow();
  });

  it('cuts what takes longer than the drain timeout, with an error event', async () => {
    await using harness = await serve([({ socket }) => socket.write(STREAM_HEAD + roleEvent + tokenEvent('a'))]);
    const open = await harness.post({ stream: true });
    expect(await harness.frontend.drain(50)).toBe(1);
    expect(await open.text()).toContain('"code":"shutting_down"');
    await waitFor('the worker to be told', () => harness.workers[0]!.sockets.size === 0);
  });
});
