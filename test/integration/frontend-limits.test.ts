import { describe, expect, it } from 'vitest';
import { startHarness } from '../helpers/frontend-harness.ts';
import { decodeScript, prefillScript, sendBody, startScriptedWorker } from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';

/** What vLLM says of a prompt that is too long. */
const TOO_LONG =
  '{"error":{"message":"This model\'s maximum context length is 16 tokens.","type":"BadRequestError","param":"input_tokens","code":400}}';
const refuse = ({ socket }: Parameters<typeof prefillScript>[0]) => sendBody(socket, TOO_LONG, '400 Bad Request');

describe('several answers on separate prefill and decode workers', () => {
  it.each([
    ['chat', { n: 2 }],
    ['chat', { n: '3' }],
    ['chat', { n: 2, stream: true }],
    ['text', { n: 2, prompt: 'x' }],
    ['text', { best_of: 2, prompt: 'x' }],
    ['text', { use_beam_search: true, n: 2, prompt: 'x' }],
  ])('%s %j go to the decode worker whole: no block is left behind on a prefill worker', async (kind, fields) => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const response = await harness.post(fields, kind === 'chat' ? undefined : '/v1/completions');
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    expect([prefill.requests.length, decode.requests.length]).toEqual([0, 1]);
    expect(decode.requests[0]?.json).not.toHaveProperty('kv_transfer_params');
    expect(await harness.metric('dynamo_frontend_unsplit_requests_total')).toBe(1);
    await idle(harness);
  });

  it('are split no less when only one is asked for', async () => {
    const prefill = await startScriptedWorker(prefillScript);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    for (const n of [1, null]) expect((await harness.post({ n })).status).toBe(200);
    expect([prefill.requests.length, decode.requests.length]).toEqual([2, 2]);
  });
});

describe('a prompt longer than the model', () => {
  it('is refused once, by whichever worker finds it, and tried nowhere else', async () => {
    const prefill = [await startScriptedWorker(prefillScript), await startScriptedWorker(prefillScript)];
    const decode = [await startScriptedWorker(refuse), await startScriptedWorker(refuse)];
    const workers = {
      'prefill-0': prefill[0]!,
      'prefill-1': prefill[1]!,
      'decode-0': decode[0]!,
      'decode-1': decode[1]!,
    };
    await using harness = await split(workers, { decodeFallback: true });
    const response = await harness.post({});
    expect([response.status, await response.text()]).toEqual([400, TOO_LONG]);
    const asked = [...prefill, ...decode].reduce((sum, worker) => sum + worker.requests.length, 0);
    expect(asked).toBe(2);
    expect(await harness.metric('dynamo_frontend_upstream_retries_total')).toBe(0);
    await idle(harness);
  });

  it('is refused as an ordinary answer when a stream was asked for', async () => {
    const prefill = await startScriptedWorker(refuse);
    const decode = await startScriptedWorker(decodeScript);
    await using harness = await split({ 'prefill-0': prefill, 'decode-0': decode });
    const response = await harness.post({ stream: true });
    expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/json']);
    expect(decode.requests).toEqual([]);
  });

  it('can be told beforehand: a model is as long as the shortest of its workers takes', async () => {
    await using harness = await startHarness();
    const worker = await startScriptedWorker(decodeScript);
    const shorter = await startScriptedWorker(decodeScript);
    await harness.publish('aggregated-0', worker, { role: 'aggregated', maxModelLen: 4_096 });
    await harness.publish('aggregated-1', shorter, { role: 'aggregated', maxModelLen: 1_024 });
    await harness.publish('aggregated-2', worker, { role: 'aggregated', maxModelLen: null });
    const { data } = (await (await fetch(`${harness.url}/v1/models`)).json()) as { data: { max_model_len: number }[] };
    expect(data.map((model) => model.max_model_len)).toEqual([1_024]);
  });
});
