import { describe, expect, it } from 'vitest';
import { StartProgress } from '../../../src/agent/start-progress.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';

const progressOf = (engine: string | null) => new StartProgress({ name: 'decode-0', engine } as ProcessSpec);

describe('StartProgress', () => {
  it('names the phase that the newest telling line names, and keeps it when that line is gone', () => {
    const progress = progressOf('vllm');
    expect(progress.read([])).toEqual({ phase: undefined, line: undefined });
    const lines = [
      'INFO vLLM API server version 0.29.0',
      'INFO Starting to load model org/m...',
      'INFO something else',
    ];
    expect(progress.read(lines)).toEqual({ phase: 'weights', line: 'INFO something else' });
    expect(progress.read(['INFO still at it'])).toEqual({ phase: 'weights', line: 'INFO still at it' });
    expect(progress.read(['INFO Available KV cache memory: 30 GiB']).phase).toBe('memory');
  });

  it('shows the newest state of a progress bar, shortened', () => {
    const bar = ['Capturing CUDA graphs:  10%|#', 'Capturing CUDA graphs:  90%|#########'].join('\r');
    const { phase, line } = progressOf('vllm').read([bar]);
    expect(phase).toBe('capture');
    expect(line).toBe('Capturing CUDA graphs:  90%|#########');
    expect(progressOf('vllm').read(['x'.repeat(500)]).line).toHaveLength(120);
  });

  it('knows no phases of processes without an engine, or with one of another version', () => {
    expect(progressOf(null).read(['Loading weights'])).toEqual({ phase: undefined, line: 'Loading weights' });
    expect(progressOf('warp').read(['Loading weights']).phase).toBeUndefined();
  });
});
