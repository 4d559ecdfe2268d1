import { expect, it } from 'vitest';
import { parseGpuProcesses } from '../../../src/hosts/gpu-processes.ts';

it('reads processes on GPUs, and skips what is none and the driver’s own daemon', () => {
  expect(
    parseGpuProcesses(
      [
        'GPU-1a, 4711, 70000, /opt/conda/bin/python3',
        'MIG-2b, 4712, [N/A], odd, name',
        'GPU-1a, 900, 30, /usr/bin/nvidia-cuda-mps-server',
        '0, GPU-0000-0, 81559, 0, NVIDIA H100 80GB HBM3',
        'No running processes found',
        '',
      ].join('\n'),
    ),
  ).toEqual([
    { uuid: 'GPU-1a', pid: 4711, memoryBytes: 70_000 * 1024 ** 2, command: '/opt/conda/bin/python3' },
    { uuid: 'MIG-2b', pid: 4712, memoryBytes: null, command: 'odd, name' },
  ]);
});
