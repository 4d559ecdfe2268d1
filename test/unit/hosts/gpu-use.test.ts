import { describe, expect, it } from 'vitest';
import { differs, type GpuUse, parseGpuUse } from '../../../src/hosts/gpu-use.ts';

describe('parseGpuUse', () => {
  it('reads a line, and what the board does not say', () => {
    expect(parseGpuUse('3, 97, 71234, 81559, 412.17, 63, NVIDIA H100 80GB HBM3')).toEqual({
      index: 3,
      name: 'NVIDIA H100 80GB HBM3',
      utilisation: 97,
      memoryUsedBytes: 71_234 * 1024 ** 2,
      memoryBytes: 81_559 * 1024 ** 2,
      powerW: 412.17,
      temperatureC: 63,
    });
    expect(parseGpuUse('0, [N/A], [N/A], 1024, [Not Supported], 40, GRID')).toMatchObject({
      utilisation: null,
      memoryUsedBytes: null,
      powerW: null,
    });
    for (const line of ['', 'Unable to determine the device handle for GPU 0000:19:00.0: GPU is lost.', '1, 2'])
      expect(parseGpuUse(line)).toBeUndefined();
  });
});

describe('differs', () => {
  const gpu: GpuUse = {
    index: 0,
    name: 'x',
    utilisation: 50,
    memoryUsedBytes: 1e9,
    memoryBytes: 8e10,
    powerW: 300,
    temperatureC: 60,
  };
  it('lets small movements pass', () => {
    expect(differs([gpu], [{ ...gpu, utilisation: 54, memoryUsedBytes: 1.1e9, powerW: 315, temperatureC: 61 }])).toBe(
      false,
    );
    for (const change of [
      { utilisation: 60 },
      { memoryUsedBytes: 2e9 },
      { powerW: 350 },
      { temperatureC: 70 },
      { utilisation: null },
      { index: 1 },
    ])
      expect(differs([gpu], [{ ...gpu, ...change }])).toBe(true);
    expect(differs([gpu], [])).toBe(true);
  });
});
