import { afterAll, beforeAll, describe } from 'vitest';
import { type MockerProcess, startMocker } from '../helpers/mocker-process.ts';
import { describeEngineSurface } from './engine-surface.ts';

const BLOCK_SIZE = 128;
const MAX_MODEL_LEN = 4_096;

const start = (mode: string, ...more: string[]): Promise<MockerProcess> =>
  startMocker([
    ...['--disaggregation-mode', mode, '--block-size', String(BLOCK_SIZE), '--num-gpu-blocks-override', '64'],
    ...['--max-model-len', String(MAX_MODEL_LEN), '--speedup-ratio', '20', ...more],
  ]);

describe('the surface of vLLM, by the mocker', () => {
  let prefill: MockerProcess;
  let decode: MockerProcess;
  beforeAll(async () => {
    [prefill, decode] = await Promise.all([start('prefill'), start('decode', '--enable-scale-out')]);
  });
  afterAll(async () => {
    await Promise.all([prefill, decode].map((worker) => worker[Symbol.asyncDispose]()));
  });

  describeEngineSurface(() => ({
    prefill: prefill.url,
    decode: decode.url,
    model: 'demo',
    maxModelLen: MAX_MODEL_LEN,
    blockSize: BLOCK_SIZE,
  }));
});
