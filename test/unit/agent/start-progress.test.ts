import { describe, expect, it } from 'vitest';
import { StartProgress } from '../../../src/agent/start-progress.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';

const progressOf = (engine: string | null) => new StartProgress({ name: 'decode-0', engine } as ProcessSpec);

describe('StartProgress', () => {
  it('names the phase that the newest telling line names, and keeps it when that line is gone', () => {
    const progress = progressOf('vllm');
    expect(progress.read([], 0)).toEqual({ phase: undefined, line: undefined });
    const lines = [
      'INFO vLLM API server version 0.29.0',
      'INFO Starting to load model org/m...',
      'INFO something else',
    ];
    expect(progress.read(lines, 0)).toEqual({ phase: 'weights', line: 'INFO something else' });
    expect(progress.read(['INFO still at it'], 0)).toEqual({ phase: 'weights', line: 'INFO still at it' });
    expect(progress.read(['INFO Available KV cache memory: 30 GiB'], 0).phase).toBe('memory');
  });

  it('shows the newest state of a progress bar, shortened', () => {
    const bar = ['Capturing CUDA graphs:  10%|#', 'Capturing CUDA graphs:  90%|#########'].join('\r');
    const { phase, line } = progressOf('vllm').read([bar], 0);
    expect(phase).toBe('capture');
    expect(line).toBe('Capturing CUDA graphs:  90%|#########');
    expect(progressOf('vllm').read(['x'.repeat(500)], 0).line).toHaveLength(120);
  });

  it('knows no phases of processes without an engine, or with one of another version', () => {
    expect(progressOf(null).read(['Loading weights'], 0)).toEqual({ phase: undefined, line: 'Loading weights' });
    expect(progressOf('warp').read(['Loading weights'], 0).phase).toBeUndefined();
  });
});

describe('what is said of one that never became ready', () => {
  it('is the phase and the last line, each with its time', () => {
    const progress = progressOf('vllm');
    expect(progress.describe(0)).toBe('It printed nothing.');
    progress.read(['Starting to load model demo'], 1_000);
    progress.read(['Loading safetensors checkpoint shards: 14%'], 31_000);
    progress.read(['Loading safetensors checkpoint shards: 14%'], 90_000);
    expect(progress.describe(121_000)).toBe(
      'It was loading weights for 2 min 00 s. Its last line, 1 min 30 s before, was: Loading safetensors checkpoint shards: 14%',
    );
  });
});
