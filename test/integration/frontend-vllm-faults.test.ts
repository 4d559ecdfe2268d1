import { describe, expect, it } from 'vitest';
import {
  decode,
  draining,
  errorAfter200,
  errorFinish,
  hybridGarbage,
  noParams,
  prefill,
  pullFailed,
  refusesUsedParams,
  slowHead,
  stalePeerOnce,
  streamCut,
  unauthorized,
} from '../fixtures/engines/vllm.ts';
import { type ScriptedWorker, startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';
import { idle, split } from '../helpers/split-harness.ts';

const startPair = async (prefillScript: WorkerScript, decodeScript: WorkerScript, fields = {}) => {
  const workers = {
    'prefill-0': await startScriptedWorker(prefillScript),
    'decode-0': await startScriptedWorker(decodeScript),
  };
  return { ...workers, harness: await split(workers, {}, fields) };
};

describe('vLLM’s second leg', () => {
  it.each([
    ['an error event after 200', errorAfter200, true],
    ['500', pullFailed, true],
    ['500', pullFailed, false],
    ['finish reason abort', draining, true],
    ['finish reason abort', draining, false],
    ['finish reason error', errorFinish, true],
    ['finish reason error', errorFinish, false],
  ])('%s (%#): nothing of it is shown, each try begins at leg 1', async (_name, script, stream) => {
    const pair = await startPair(prefill, script);
    await using harness = pair.harness;
    const response = await harness.post({ stream });
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('secret');
    expect(pair['prefill-0'].requests.length).toBe(pair['decode-0'].requests.length);
    await idle(harness);
  });

  it('fails once against a restarted peer and is right the second time', async () => {
    const pair = await startPair(prefill, stalePeerOnce);
    await using harness = pair.harness;
    expect(await (await harness.post({ stream: true })).text()).toContain('Hello');
  });

  it('is never given the same parameters twice, whatever fails', async () => {
    const { usedTwice, ...scripts } = refusesUsedParams();
    const pair = await startPair(scripts.prefill, scripts.decode);
    await using harness = pair.harness;
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => harness.post({ stream: index % 2 === 0 })),
    );
    for (const answer of answers) await answer.text();
    expect(usedTwice).toEqual([]);
    expect(pair['decode-0'].requests.length).toBeGreaterThan(12);
    await idle(harness);
  });

  it('with garbage is withheld from the client of a hybrid-KV model', async () => {
    const pair: { 'decode-0': ScriptedWorker; harness: Awaited<ReturnType<typeof split>> } = await startPair(
      prefill,
      hybridGarbage(() => pair['decode-0']),
      { hybridKv: true },
    );
    await using harness = pair.harness;
    for (const stream of [true, false]) {
      const response = await harness.post({ stream });
      expect(response.status).toBe(503);
      expect(await response.text()).not.toContain('garbage');
    }
  });

  it('that is cut ends in an error event', async () => {
    const pair = await startPair(prefill, streamCut);
    await using harness = pair.harness;
    expect(await (await harness.post({ stream: true })).text()).toMatch(/Hel[\s\S]*"code":"upstream_error"/);
  });

  it('may come byte by byte', async () => {
    const pair = await startPair(prefill, slowHead);
    await using harness = pair.harness;
    const text = await (await harness.post({ stream: true })).text();
    expect(text).toContain('Hello');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});

describe('vLLM’s first leg', () => {
  it('without parameters counts as failed: no connector, or its blocks are gone', async () => {
    const pair = await startPair(noParams, decode);
    await using harness = pair.harness;
    expect((await harness.post({})).status).toBe(503);
    expect(pair['decode-0'].requests).toEqual([]);
  });

  it('that refuses the key is passed on, in OpenAI’s envelope', async () => {
    const pair = await startPair(unauthorized, decode);
    await using harness = pair.harness;
    const response = await harness.post({});
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({
      error: { message: 'Unauthorized', type: 'invalid_request_error', param: null, code: null },
    });
  });
});
