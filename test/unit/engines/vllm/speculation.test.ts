import { describe, expect, it } from 'vitest';
import { checkPair } from '../../../../src/engines/vllm/combinations.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { workerSettings } from '../../../helpers/worker-settings.ts';

const problems = (prefill: unknown, decode: unknown) => {
  const worker = (role: 'prefill' | 'decode', config: unknown) =>
    workerSettings({
      role,
      args: (config === undefined ? {} : { speculative_config: config }) as WorkerSettings['args'],
    });
  return checkPair(worker('prefill', prefill), worker('decode', decode)).problems.map(({ message }) => message);
};

describe('speculative decoding of prefill and decode workers', () => {
  it.each([
    [
      'as many tokens at a time as each likes',
      { method: 'mtp', num_speculative_tokens: 1 },
      { method: 'mtp', num_speculative_tokens: 3 },
    ],
    ['the old name of a method', { method: 'deepseek_mtp' }, { method: 'mtp' }],
    [
      'on one side only, where it needs nothing of the model',
      undefined,
      { method: 'ngram', num_speculative_tokens: 4 },
    ],
    ['JSON text', '{"method":"eagle3","model":"d"}', { model: 'd', method: 'eagle3' }],
  ])('may be %s', (_, prefill, decode) => {
    expect(problems(prefill, decode)).toEqual([]);
  });

  it.each([
    ['on one side only, with the model’s hidden states', undefined, { method: 'eagle3', model: 'd' }],
    ['with another draft model', { method: 'eagle3', model: 'd' }, { method: 'eagle3', model: 'e' }],
    ['by another method', { method: 'mtp' }, { method: 'eagle3', model: 'd' }],
  ])('may not be %s', (_, prefill, decode) => {
    expect(problems(prefill, decode)).toEqual([
      expect.stringMatching(/`speculative-config` is .* NIXL needs them equal/),
    ]);
  });
});
