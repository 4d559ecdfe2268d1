import { describe, expect, it } from 'vitest';
import type { GpuUse } from '../../../../src/hosts/gpu-use.ts';
import { ASCII, UNICODE } from '../../../../src/tui/text/glyphs.ts';
import { gpuLine } from '../../../../src/tui/text/gpu-line.ts';

const gpu = (index: number, change: Partial<GpuUse> = {}): GpuUse => ({
  index,
  name: 'NVIDIA H100 80GB HBM3',
  utilisation: index * 12.5,
  memoryUsedBytes: 64 * 1024 ** 3,
  memoryBytes: 80 * 1024 ** 3,
  powerW: 400,
  temperatureC: 50 + index,
  ...change,
});

describe('gpuLine', () => {
  it('draws a bar a GPU and what they use together', () => {
    const eight = Array.from({ length: 8 }, (_, index) => gpu(index));
    expect(gpuLine([...eight.slice(0, 7), gpu(7, { utilisation: 100 })], 80, UNICODE)).toBe(
      '8 GPUs ▁▂▃▄▅▆▇█  45 %  512 GiB of 640 GiB  3.2 kW  57 °C',
    );
    expect(gpuLine(eight, 40, UNICODE)).toBe('8 GPUs ▁▂▃▄▅▆▇█  44 %  512 GiB of 640 GiB'.slice(0, 22).trimEnd());
    expect(gpuLine([gpu(0)], 80, ASCII)).toBe('1 GPU .  0 %  64 GiB of 80 GiB  400 W  50 C');
  });

  it('says nothing of what is not known', () => {
    const mute = { utilisation: null, memoryUsedBytes: null, memoryBytes: null, powerW: null, temperatureC: null };
    expect(gpuLine([gpu(0, mute), gpu(1, mute)], 80, UNICODE)).toBe('2 GPUs ??');
  });
});
