import { describe, expect, it } from 'vitest';
import { provePair } from '../../src/supervise/pair-proof.ts';
import {
  arrived,
  computesItself,
  errorFinish,
  fetchesBlocks,
  noParams,
  prefill,
  pullFailed,
} from '../fixtures/engines/vllm.ts';
import { type ScriptedWorker, startScriptedWorker, type WorkerScript } from '../helpers/scripted-worker.ts';

async function prove(prefillScript: WorkerScript, decodeScript: (worker: () => ScriptedWorker) => WorkerScript) {
  await using first = await startScriptedWorker(prefillScript);
  await using second: ScriptedWorker = await startScriptedWorker(decodeScript(() => second));
  second.metrics = arrived(3, 0);
  const pair = {
    prefill: 'prefill-0',
    decode: 'decode-0',
    prefillUrl: first.url,
    decodeUrl: second.url,
    model: 'demo',
    blockSize: 16,
  };
  return await provePair(pair, new AbortController().signal);
}

describe('the proof of a pair', () => {
  it('wants the decode worker’s own transfer counters to rise', async () => {
    expect(await prove(prefill, fetchesBlocks)).toBeGreaterThan(0);
  });

  it('is not fooled by an answer while the counters are flat', async () => {
    await expect(prove(prefill, () => computesItself)).rejects.toMatchObject({
      code: 'KV_PATH_FAILED',
      message: expect.stringContaining('no KV block arrived') as string,
    });
  });

  it.each([
    ['leg 1 has no parameters', noParams, () => computesItself],
    ['leg 2 answers 500', prefill, () => pullFailed],
    ['leg 2 ends with finish reason error', prefill, () => errorFinish],
  ] as [string, WorkerScript, () => WorkerScript][])('fails when %s', async (_, first, second) => {
    await expect(prove(first, second)).rejects.toMatchObject({ code: 'KV_PATH_FAILED' });
  });
});
