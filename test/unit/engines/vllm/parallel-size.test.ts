import { describe, expect, it } from 'vitest';
import { vllmEngine } from '../../../../src/engines/vllm/vllm-engine.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { flagValues, workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = (args: WorkerSettings['args'], change: Partial<WorkerSettings> = {}) =>
  workerSettings({ role: 'aggregated', args, ...change });
const problems = (settings: WorkerSettings) => vllmEngine.check(settings).problems.map(({ message }) => message);

describe('GPUs of a vLLM worker', () => {
  it('are one for each tensor, pipeline, context and data-parallel rank', () => {
    expect(vllmEngine.defaultGpus(worker({ 'tensor-parallel-size': 2, 'pipeline-parallel-size': 2 }))).toBe(4);
    expect(vllmEngine.defaultGpus(worker({ tensor_parallel_size: 2, prefill_context_parallel_size: 2 }))).toBe(4);
    // These share the GPUs of the tensor-parallel ranks.
    expect(vllmEngine.defaultGpus(worker({ 'tensor-parallel-size': 4, 'decode-context-parallel-size': 2 }))).toBe(4);
  });

  it('must be as many as the recipe gives it', () => {
    expect(problems(worker({ 'prefill-context-parallel-size': 2 }, { gpus: 1 }))).toEqual([
      expect.stringMatching(/× `prefill-context-parallel-size` × `data-parallel-size` is 2, so with 1 GPUs/),
    ]);
  });
});

describe('the share of a GPU', () => {
  it('counts by either of its names', () => {
    const shared = worker({ 'device-memory-utilization': 0.4 }, { workersPerGpu: 2 });
    const { argv } = vllmEngine.launch(shared, workerPlacement(vllmEngine, shared, { gpus: [0] }));
    expect(argv).not.toContain('--gpu-memory-utilization');
    expect(flagValues(argv, '--device-memory-utilization')).toEqual(['0.4']);
    expect(problems(worker({ 'device-memory-utilization': 0.9 }, { workersPerGpu: 2 }))).toEqual([
      expect.stringMatching(/2 workers with 0.9 each do not fit/),
    ]);
  });
});
