import { describe, expect, it } from 'vitest';
import { tellingLines } from '../../../src/agent/telling-lines.ts';

/** What vLLM 0.32 printed: the engine process tells the cause, then the server its own traceback of 65 lines. */
const CAUSE =
  "ValueError: To serve at least one request with the model's max seq len (32768), (0.02 GiB KV cache is needed, which is larger than the available KV cache memory (0.01 GiB).";
const TRACEBACK = Array.from({ length: 65 }, (_, index) => `  File "vllm/v1/engine/utils.py", line ${index}`);
const CONSEQUENCE = "RuntimeError: Engine core initialization failed. Failed core proc(s): {'EngineCore': 1}";
const output = ['INFO Starting', CAUSE, ...TRACEBACK, CONSEQUENCE];

describe('tellingLines', () => {
  it('puts the cause before the last lines when it lies further above', () => {
    const lines = tellingLines({ engine: 'vllm' }, output, 3);
    expect(lines).toEqual([CAUSE, '…', ...TRACEBACK.slice(-2), CONSEQUENCE]);
  });

  it('is just the last lines when the cause is among them, is not known, or nobody knows the engine', () => {
    expect(tellingLines({ engine: 'vllm' }, [...TRACEBACK, CAUSE], 3)).toEqual([...TRACEBACK.slice(-2), CAUSE]);
    expect(tellingLines({ engine: 'vllm' }, TRACEBACK, 2)).toEqual(TRACEBACK.slice(-2));
    expect(tellingLines({ engine: null }, output, 1)).toEqual([CONSEQUENCE]);
    expect(tellingLines({ engine: 'vllm' }, [], 5)).toEqual([]);
  });
});
