import { describe, expect, it } from 'vitest';
import { nearest } from '../../../src/yaml/nearest.ts';

describe('nearest', () => {
  const keys = ['replicas', 'gpus', 'gpuType', 'servedModelName', 'env', 'args'];

  it.each([
    ['replica', 'replicas'],
    ['relpicas', 'replicas'],
    ['served-model-name', 'servedModelName'],
    ['GPUS', 'gpus'],
    ['gpu_type', 'gpuType'],
    ['evn', 'env'],
  ])('takes %s for %s', (word, expected) => expect(nearest(word, keys)).toBe(expected));

  it.each(['volumes', 'x', '', 'tensorParallelSize'])('takes %j for nothing', (word) =>
    expect(nearest(word, keys)).toBeUndefined(),
  );
});
