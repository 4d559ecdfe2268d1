import { describe, expect, it } from 'vitest';
import { checkPair, VLLM_COMBINATIONS, workerCombinations } from '../../../../src/engines/vllm/combinations.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { workerSettings } from '../../../helpers/worker-settings.ts';

const found = (change: Partial<WorkerSettings>) =>
  workerCombinations(workerSettings(change)).map(({ name, verdict }) => `${name} ${verdict}`);
const GPT_OSS = 'openai/gpt-oss-120b';

describe('combinations of vLLM', () => {
  it.each([
    [{ model: 'meta-llama/Llama-3.3-70B-Instruct' }, []],
    [{ model: GPT_OSS }, ['hybrid-kv-transfer risky']],
    [{ model: GPT_OSS, role: 'prefill' }, []],
    [{ model: GPT_OSS, role: 'aggregated' }, []],
    [{ model: GPT_OSS, args: { 'disable-hybrid-kv-cache-manager': true } }, []],
    [
      { model: GPT_OSS, role: 'prefill', kvOffload: { remote: { backend: 'lmcache', url: 'x' } } },
      ['lmcache-with-nixl broken'],
    ],
    [{ model: 'openai/whisper-large-v3' }, ['encoder-decoder-transfer broken']],
    [{ model: 'state-spaces/mamba-2.8b', role: 'prefill' }, ['state-space-prefix-cache risky']],
    [{ model: 'state-spaces/mamba-2.8b', role: 'prefill', args: { 'enable-prefix-caching': false } }, []],
    [{ kvOffload: { cpu: 1, disk: { path: '/x', size: 1 } } }, ['unlimited-disk risky']],
    [{ kvOffload: { disk: { path: '/x' } } }, []],
  ] as [Partial<WorkerSettings>, string[]][])('of %j are %j', (change, expected) => {
    expect(found(change)).toEqual(expected);
    for (const name of expected) expect(VLLM_COMBINATIONS).toContain(name.split(' ')[0]);
  });

  const pair = (model: string, prefillTp: number, decodeTp: number) =>
    checkPair(
      workerSettings({ role: 'prefill', model, args: { 'tensor-parallel-size': prefillTp } }),
      workerSettings({ role: 'decode', model, args: { 'tensor-parallel-size': decodeTp } }),
    ).combinations?.map(({ name, verdict }) => `${name} ${verdict}`);

  it.each([
    ['meta-llama/Llama-3.3-70B-Instruct', 2, 4, []],
    ['meta-llama/Llama-3.3-70B-Instruct', 4, 2, ['larger-prefill-tp risky']],
    ['google/gemma-3-27b-it', 2, 4, ['gemma-unequal-tp risky']],
    ['ibm-granite/granite-4.0-h-small', 1, 2, ['state-space-unequal-tp broken']],
  ])('of %s with tensor parallelism %i and %i are %j', (model, prefill, decode, expected) => {
    expect(pair(model, prefill, decode)).toEqual(expected);
  });

  it('refuses what makes two workers strangers to each other', () => {
    const { problems } = checkPair(
      workerSettings({ role: 'prefill', args: { dtype: 'bfloat16', speculative_config: { method: 'eagle3' } } }),
      workerSettings({ role: 'decode', args: { dtype: 'float16', 'speculative-config': { method: 'eagle3' } } }),
    );
    expect(problems).toEqual([
      {
        path: ['workers', 'decode', 'args', 'dtype'],
        message: '`dtype` is float16 for decode but bfloat16 for prefill workers; NIXL needs them equal',
      },
    ]);
  });
});
