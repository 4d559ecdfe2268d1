import { describe, expect, it } from 'vitest';
import { diagnose } from '../../../src/engines/engine.ts';
import { findEngine } from '../../../src/engines/find-engine.ts';

describe.each(['vllm', 'sglang'] as const)('a package that %s lacks for what the recipe asks', (engine) => {
  it.each([
    "ModuleNotFoundError: No module named 'lmcache'",
    "ImportError: The 'modelexpress' load format requires the ModelExpress Python package. Install it with `pip install modelexpress`.",
    'ImportError: Please install vllm[runai] for runai support',
    "ModuleNotFoundError: No module named 'fastsafetensors'",
  ])('%s', (line) => {
    const found = diagnose(findEngine(engine), ['starting', line, 'RuntimeError: Engine core initialization failed.']);
    expect(found?.cause).toBe(
      'a package that `load` or `kvOffload` needs is not installed in the Python environment of the engine',
    );
  });
});
