import { describe, expect, it } from 'vitest';
import { startHarness } from '../helpers/frontend-harness.ts';
import {
  chunk,
  decodeScript,
  doneEvent,
  event,
  KV_PARAMS,
  prefillScript,
  roleEvent,
  STREAM_END,
  STREAM_HEAD,
  sendBody,
  startScriptedWorker,
  streamOf,
  tokenEvent,
} from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';
import { waitFor } from '../helpers/until.ts';

const ERROR_EVENT = event({
  error: { message: 'KV load failed for prompt hi', type: 'InternalServerError', code: 500 },
});

describe('two legs', () => {
  it('sends both legs with one request id, carries the parameters as bytes and reports leg 1’s cached tokens', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const body =
      '{"model":"demo", "messages":[{"role":"user","content":"\\u00e9 \\"x\\""}],"seed":12345678901234567890 ,"max_tokens":40}';
    const response = await fetch(`${harness.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer key',
        'x-request-id': 'req-1',
        'x-dynamo-worker-instance-id': 'decode-9',
        cookie: 'a=b',
      },
      body,
    });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-request-id': 'req-1',
      'x-dynamo-prefill-worker': 'prefill-0',
      'x-dynamo-decode-worker': 'decode-0',
    });
    expect(((await response.json()) as { usage: unknown }).usage).toMatchObject({
      prompt_tokens_details: { cached_tokens: 7 },
    });
    const [leg1, leg2] = [prefill.requests[0]!, decode.requests[0]!];
    expect(leg1.json).toMatchObject({ max_tokens: 1, stream: false, kv_transfer_params: { do_remote_decode: true } });
    expect(leg1.body.toString()).toContain('"seed":12345678901234567890');
    expect(leg2.body.toString()).toBe(`${body.slice(0, -1)},"kv_transfer_params":${KV_PARAMS}}`);
    for (const leg of [leg1, leg2]) {
      expect(leg.headers.get('x-request-id')).toBe('req-1');
      expect(leg.headers.get('authorization')).toBe('Bearer key');
      expect([...leg.headers.keys()].filter((name) => /dynamo|cookie/.test(name))).toEqual([]);
    }
    expect(await harness.ended('req-1')).toMatchObject({
      outcome: 'ok',
      prefillWorker: 'prefill-0',
      worker: 'decode-0',
      cachedTokens: 7,
      tokens: 2,
    });
    await idle(harness);
  });

  it('streams, drops the usage event nobody asked for, patches the one somebody did', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const plain = await (await harness.post({ stream: true })).text();
    expect(plain).toContain('Hello');
    expect(plain).not.toContain('usage');
    expect(plain.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(decode.requests[0]!.json['stream_options']).toEqual({ include_usage: true });
    expect(prefill.requests[0]!.json).not.toHaveProperty('stream_options');
    const asked = await (await harness.post({ stream: true, stream_options: { include_usage: true } })).text();
    expect(asked).toContain('"prompt_tokens_details":{"cached_tokens":7}');
    await idle(harness);
  });

  it('uses parameters once: a failed leg 2 starts again at leg 1, with another prefill worker where there is one', async () => {
    let legs = 0;
    const prefills = [await startScriptedWorker(prefillScript), await startScriptedWorker(prefillScript)];
    const decode = await startScriptedWorker(({ socket, json }) => {
      legs += 1;
      if (legs === 1) sendBody(socket, '{"error":{"message":"secret prompt"}}', '500 Internal Server Error');
      else if (legs === 2) socket.write(STREAM_HEAD + roleEvent + ERROR_EVENT + doneEvent + STREAM_END);
      else decodeScript({ socket, json } as Parameters<typeof decodeScript>[0], 0);
    });
    await using harness = await split({ 'prefill-0': prefills[0]!, 'prefill-1': prefills[1]!, 'decode-0': decode });
    const text = await (await harness.post({ stream: true })).text();
    expect(text).toContain('Hello');
    expect(text).not.toContain('error');
    expect(legs).toBe(3);
    expect(prefills.map(({ requests }) => requests.length).sort()).toEqual([1, 2]);
    expect(await harness.metric('dynamo_frontend_upstream_retries_total', 'role="decode"')).toBe(2);
    await idle(harness);
  });

  it('goes on with its only prefill worker when a decode worker is gone', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const gone = await startScriptedWorker(decodeScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': gone, 'decode-1': decode });
    await gone.die();
    for (let index = 0; index < 3; index += 1) {
      expect((await harness.post({})).headers.get('x-dynamo-decode-worker')).toBe('decode-1');
    }
    await idle(harness);
  });

  it('gives up after a bounded number of rounds', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(({ socket }) => sendBody(socket, '{}', '500 Internal Server Error'));
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const response = await harness.post({});
    expect(response.status).toBe(502);
    expect(await response.json()).toEqual({
      error: {
        message: 'the worker failed the request (status)',
        type: 'server_error',
        param: null,
        code: 'upstream_error',
      },
    });
    expect([prefill.requests.length, decode.requests.length]).toEqual([3, 3]);
    await idle(harness);
  });

  it('tries another prefill worker when one refuses connections, and remembers', async () => {
    const dead = await startScriptedWorker(prefillScript);
    const alive = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': dead, 'prefill-1': alive, 'decode-0': decode });
    await dead.die();
    for (let index = 0; index < 6; index += 1) {
      const response = await harness.post({});
      expect(response.headers.get('x-dynamo-prefill-worker')).toBe('prefill-1');
      await response.text();
    }
    expect(await harness.metric('dynamo_frontend_upstream_retries_total', 'role="prefill"')).toBe(1);
    const health = (await (await fetch(`${harness.url}/health`)).json()) as {
      instances: { name: string; suspect: boolean }[];
    };
    expect(health.instances.find(({ name }) => name === 'prefill-0')?.suspect).toBe(true);
  });

  it.each([
    [
      'answers without parameters',
      ({ socket }) => sendBody(socket, '{"choices":[{"finish_reason":"length"}],"kv_transfer_params":null}'),
    ],
    [
      'answers with finish reason abort',
      ({ socket }) => sendBody(socket, `{"choices":[{"finish_reason":"abort"}],"kv_transfer_params":${KV_PARAMS}}`),
    ],
    ['answers 500', ({ socket }) => sendBody(socket, '{}', '500 Internal Server Error')],
    ['answers with garbage', ({ socket }) => socket.write('SSH-2.0-OpenSSH\r\n\r\n')],
    ['closes without an answer', ({ socket }) => socket.destroy()],
  ] as [string, Parameters<typeof startScriptedWorker>[0]][])(
    'when the only prefill worker %s: 503, or the decode worker does it all and says so',
    async (_, script) => {
      const prefill = await startScriptedWorker(script);
      const decode = await startScriptedWorker(decodeScript);
      await using strict = await split({ 'prefill-0': prefill, 'decode-0': decode });
      const refused = await strict.post({});
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ error: { code: 'no_instances' } });
      expect(decode.requests).toHaveLength(0);

      await using lenient = await startHarness({ decodeFallback: true });
      await lenient.publish('prefill-0', prefill);
      await lenient.publish('decode-0', decode);
      const served = await lenient.post({});
      expect(served.status).toBe(200);
      expect(served.headers.get('x-dynamo-local-prefill')).toMatch(/^prefill_(failed|status|protocol|reset)$/);
      expect(decode.requests[0]!.json).not.toHaveProperty('kv_transfer_params');
      expect(await lenient.metric('dynamo_frontend_decode_fallback_total')).toBe(1);
    },
  );

  it('passes on a worker’s own refusal of the request', async () => {
    const refusal = '{"error":{"message":"too long","type":"BadRequestError","param":"input_tokens","code":400}}';
    const prefill = await startScriptedWorker(({ socket }) => sendBody(socket, refusal, '400 Bad Request'));
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, { decodeFallback: true });
    const response = await harness.post({});
    expect([response.status, await response.text()]).toEqual([400, refusal]);
    expect([prefill.requests.length, decode.requests.length]).toEqual([1, 0]);
  });

  it('tells the workers when the client leaves during either leg', async () => {
    const prefill = await startScriptedWorker(() => {});
    const decode = await startScriptedWorker(() => {});
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    for (const [worker, name] of [
      [prefill, 'leg-1'],
      [decode, 'leg-2'],
    ] as const) {
      const client = new AbortController();
      const lost = fetch(`${harness.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'x-request-id': name },
        body: '{"model":"demo","messages":[{"role":"user","content":"hi"}],"stream":true}',
        signal: client.signal,
      }).catch(() => {});
      const request = await waitFor(`${name} to arrive`, () => worker.requests[0]);
      expect(
        harness.frontend.context.instances.list().reduce((sum, { inFlight }) => sum + inFlight, 0),
      ).toBeGreaterThan(0);
      client.abort();
      await lost;
      await waitFor('its connection to close', () => request.socket.destroyed);
      expect(await harness.ended(name)).toMatchObject({ outcome: 'disconnected', status: 499 });
      await idle(harness);
      prefill.script = prefillScript;
    }
    expect(await harness.metric('dynamo_frontend_disconnected_clients')).toBe(2);
  });

  it('does not send leg 2 when the lease is nearly over', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode }, { kvLeaseMs: 0 });
    expect((await harness.post({})).status).toBe(502);
    expect([prefill.requests.length, decode.requests.length]).toEqual([3, 0]);
  });

  it('serves whole what cannot be split, and says why', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const response = await harness.post({ n: 2 });
    expect(response.headers.get('x-dynamo-local-prefill')).toBe('unsplit_n');
    expect([prefill.requests.length, decode.requests.length]).toEqual([0, 1]);
  });

  it('splits a list of one prompt, and serves a longer one whole', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const complete = (prompt: unknown[]) => harness.post({ messages: undefined, prompt }, '/v1/completions');
    expect((await complete(['one'])).headers.get('x-dynamo-prefill-worker')).toBe('prefill-0');
    expect((await complete(['one', 'two'])).headers.get('x-dynamo-local-prefill')).toBe('unsplit_prompt_list');
    expect([prefill.requests.length, decode.requests.length]).toEqual([1, 2]);
  });

  it('strips what only a trusted caller may send, and obeys it from one', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decodes = [await startScriptedWorker(decodeScript), await startScriptedWorker(decodeScript)];
    const workers = { 'prefill-0': prefill, 'decode-0': decodes[0]!, 'decode-1': decodes[1]! };
    await using harness = await split(workers);
    const evil = {
      kv_transfer_params: { remote_host: 'evil' },
      bootstrap_room: 1,
      nvext: { decode_worker_id: 1 },
      vllm_xargs: { kv_transfer_params: 'x' },
    };
    await (await harness.post(evil)).text();
    const sent = [prefill.requests[0]!, ...decodes.flatMap(({ requests }) => requests)];
    expect(sent).toHaveLength(2);
    for (const { body } of sent) expect(body.toString()).not.toMatch(/evil|bootstrap|nvext|xargs/);

    await using trusting = await startHarness({ trustClientPins: true });
    for (const [name, worker] of Object.entries(workers)) await trusting.publish(name, worker);
    for (const pin of ['decode-1', 'decode-1', 'decode-0', 'decode-0']) {
      const response = await trusting.post({}, undefined, { 'x-dynamo-worker-instance-id': pin });
      expect(response.headers.get('x-dynamo-decode-worker')).toBe(pin);
    }
    expect((await trusting.post({}, undefined, { 'x-dynamo-worker-instance-id': 'nobody' })).status).toBe(503);
  });

  it('gets leg 1 from a chunked answer too', async () => {
    const prefill = await startScriptedWorker(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      for (const part of `{"choices":[{"finish_reason":"length"}],"kv_transfer_params":${KV_PARAMS}}`.match(/.{1,9}/g)!)
        socket.write(chunk(part));
      socket.write(STREAM_END);
    });
    const decode = await startScriptedWorker(({ socket }) => socket.write(streamOf(['x'])));
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    expect(await (await harness.post({ stream: true })).text()).toContain('"content":"x"');
    expect(decode.requests[0]!.body.toString()).toContain(KV_PARAMS);
  });

  it('ends a stream with one error event when leg 2 breaks after content', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(({ socket }) => {
      socket.end(STREAM_HEAD + roleEvent + tokenEvent('Hel'));
    });
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const text = await (await harness.post({ stream: true })).text();
    const events = text.trimEnd().split('\n\n');
    expect(events).toHaveLength(3);
    expect(JSON.parse(events[2]!.slice(6))).toMatchObject({ error: { code: 'upstream_error' } });
    expect([prefill.requests.length, decode.requests.length]).toEqual([1, 1]);
    await idle(harness);
  });
});
