import { describe, expect, it } from 'vitest';
import {
  decodeScript,
  prefillScript,
  sendBody,
  startScriptedWorker,
  type WorkerScript,
} from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';

const VECTOR =
  '{"object":"list","data":[{"index":0,"embedding":[0.5,-1]}],"model":"demo","usage":{"prompt_tokens":3,"total_tokens":3}}';
const embeds: WorkerScript = ({ socket, line }) =>
  line.startsWith('POST /v1/embeddings')
    ? sendBody(socket, VECTOR)
    : sendBody(socket, '{"detail":"Not Found"}', '404 Not Found');
const PATH = '/v1/embeddings';
const input = { messages: undefined, input: ['a', 'b'] };

describe('embeddings', () => {
  it('come from an aggregated worker, byte for byte, and are counted', async () => {
    const worker = await startScriptedWorker(embeds);
    await using harness = await split({ 'worker-0': worker });
    const response = await harness.post({ ...input, bootstrap_room: 7 }, PATH, { 'x-request-id': 'e1' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-dynamo-worker')).toBe('worker-0');
    expect(await response.text()).toBe(VECTOR);
    expect(worker.requests[0]!.json).toMatchObject({ model: 'demo', input: ['a', 'b'] });
    expect(worker.requests[0]!.json).not.toHaveProperty('bootstrap_room');
    expect(worker.requests[0]!.json).not.toHaveProperty('prompt');
    expect(await harness.ended('e1')).toMatchObject({ endpoint: 'embeddings', promptTokens: 3, outcome: 'ok' });
    expect(await harness.metric('dynamo_frontend_requests_total', 'endpoint="embeddings"')).toBe(1);
    await idle(harness);
  });

  it('never go in two legs', async () => {
    const [prefill, decode] = [await startScriptedWorker(prefillScript), await startScriptedWorker(decodeScript)];
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const refused = await harness.post(input, PATH);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: { param: 'model', message: expect.stringContaining('make no embeddings') as string },
    });
    await using whole = await startScriptedWorker(embeds);
    await harness.publish('worker-0', whole);
    expect((await harness.post(input, PATH)).status).toBe(200);
    expect([prefill.requests, decode.requests]).toEqual([[], []]);
  });

  it('are refused clearly where the engine has none', async () => {
    await using harness = await split({
      'worker-0': await startScriptedWorker(({ socket }) =>
        sendBody(socket, '{"detail":"Not Found"}', '404 Not Found'),
      ),
    });
    const refused = await harness.post(input, PATH);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: { message: expect.stringContaining('no such endpoint') as string },
    });
  });

  it.each([
    ['no input', {}, 'input'],
    ['an empty list', { input: [] }, 'input'],
    ['a number', { input: 3 }, 'input'],
  ])('are refused with %s', async (_, body, param) => {
    const worker = await startScriptedWorker(embeds);
    await using harness = await split({ 'worker-0': worker });
    const refused = await harness.post({ messages: undefined, ...body }, PATH);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { param } });
    expect(worker.requests).toEqual([]);
  });

  it('of a chat are passed on too', async () => {
    const worker = await startScriptedWorker(embeds);
    await using harness = await split({ 'worker-0': worker }, { routerMode: 'kv' });
    expect((await harness.post({}, PATH)).status).toBe(200);
    expect((await harness.post({ messages: undefined, input: [1, 2, 3] }, PATH)).status).toBe(200);
  });
});
