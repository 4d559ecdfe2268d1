import { describe, expect, it } from 'vitest';
import { judgeMachine, type MachineFacts } from '../../../src/doctor/judge-machine.ts';
import { hostFactsSchema } from '../../../src/hosts/host-facts.ts';

const GIB = 1024 ** 3;
const port = {
  device: 'mlx5_0',
  port: 1,
  state: 'active',
  rateGbps: 400,
  linkLayer: 'InfiniBand',
  numaNode: 0,
  netdev: null,
};

function machine(facts: Record<string, unknown> = {}, change: Partial<MachineFacts> = {}): MachineFacts {
  return {
    facts: hostFactsSchema.parse({ limits: { openFiles: null, lockedMemoryBytes: null }, ...facts }),
    nodeVersion: 'v24.1.0',
    hasFlock: true,
    lockFolder: { path: '/run/lock/dynamo', error: null, freeBytes: GIB },
    stateFolder: { path: '/state', error: null, freeBytes: 100 * GIB },
    sharedMemory: { totalBytes: 64 * GIB, freeBytes: 64 * GIB },
    ucxVersion: null,
    hasPeerMemory: true,
    ...change,
  };
}

const gpu = (index: number) => ({ index, name: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * GIB });
const found = (given: MachineFacts, subject: string) => judgeMachine(given).find((each) => each.subject === subject);

describe('judgeMachine', () => {
  it('finds nothing wrong with a machine that has what the simulated engine needs', () => {
    const findings = judgeMachine(machine());
    expect(findings.filter(({ status }) => status === 'problem' || status === 'warning')).toEqual([]);
    expect(findings.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['node', 'flock', 'lock folder', 'GPUs', 'vllm', 'sglang', 'RDMA', '/dev/shm']),
    );
  });

  it.each([
    ['node', machine({}, { nodeVersion: 'v22.18.0' }), 'problem', /Install Node 22\.19/],
    ['system', machine({ platform: 'darwin' }), 'problem', /Linux/],
    ['flock', machine({}, { hasFlock: false }), 'warning', /util-linux/],
    [
      'lock folder',
      machine({}, { lockFolder: { path: '/x', error: 'EACCES', freeBytes: null } }),
      'problem',
      /DYNAMO_LOCK_DIR/,
    ],
    [
      'state folder',
      machine({}, { stateFolder: { path: '/x', error: 'EROFS', freeBytes: null } }),
      'problem',
      /DYNAMO_HOME/,
    ],
    [
      'state folder',
      machine({}, { stateFolder: { path: '/x', error: null, freeBytes: 1024 } }),
      'warning',
      /another disk/,
    ],
    ['GPUs', machine({ gpuProblem: 'nvidia-smi has failed' }), 'problem', /driver/],
    [
      'vllm',
      machine({ engines: { vllm: { path: '/venv/bin/vllm', version: '0.32.0', packages: {} } } }),
      'warning',
      /uv pip install nixl/,
    ],
    ['RDMA', machine({ rdma: [{ ...port, state: 'down' }] }), 'warning', /ibstat/],
    ['GPU RDMA', machine({ rdma: [port], gpus: [gpu(0)] }, { hasPeerMemory: false }), 'warning', /nvidia-peermem/],
    [
      'locked memory',
      machine({ rdma: [port], limits: { openFiles: null, lockedMemoryBytes: 65_536 } }),
      'warning',
      /ulimit -l unlimited/,
    ],
    ['open files', machine({ limits: { openFiles: 1_024, lockedMemoryBytes: null } }), 'warning', /ulimit -n/],
    [
      '/dev/shm',
      machine({ gpus: [gpu(0), gpu(1)] }, { sharedMemory: { totalBytes: 64 * 1024 ** 2, freeBytes: 0 } }),
      'warning',
      /--shm-size/,
    ],
  ] as const)('%s: says what to do', (subject, given, status, fix) => {
    expect(found(given, subject)).toMatchObject({ status, fix: expect.stringMatching(fix) as string });
  });

  it('names GPUs, driver, engines with nixl, and RDMA ports', () => {
    const given = machine({
      gpus: [gpu(0), gpu(1)],
      driver: '580.95',
      engines: { vllm: { path: '/venv/bin/vllm', version: '0.32.0', packages: { nixl: '1.5.1' } } },
      rdma: [port],
    });
    expect(found(given, 'GPUs')?.detail).toBe('2 × NVIDIA H100 80GB HBM3, driver 580.95');
    expect(found(given, 'vllm')).toMatchObject({ status: 'ok', detail: '0.32.0 at /venv/bin/vllm, nixl 1.5.1' });
    expect(found(given, 'RDMA')?.detail).toBe('mlx5_0:1 400 Gb/s InfiniBand');
  });

  it('minds small locked memory only where something is pinned', () => {
    const given = machine({ limits: { openFiles: null, lockedMemoryBytes: 65_536 } });
    expect(found(given, 'locked memory')?.status).toBe('note');
  });
});
