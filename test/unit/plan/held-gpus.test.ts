import { describe, expect, it } from 'vitest';
import { type HostFacts, hostFactsSchema } from '../../../src/hosts/host-facts.ts';
import { heldGpus } from '../../../src/plan/held-gpus.ts';

const user = (gpu: number, more: object = {}) => ({
  ...{ gpu, pid: 4711, user: 'bob', memoryBytes: 1, command: 'python3', ours: false },
  ...more,
});
const host = (more: object): HostFacts =>
  hostFactsSchema.parse({
    name: 'gpu-1',
    gpus: [0, 1, 2, 3].map((index) => ({ index, name: 'H100', memoryBytes: 1 })),
    ...more,
  });
const held = (more: object, allows = false) => heldGpus([host(more)], 'demo', () => allows)['gpu-1'];

describe('GPUs that cannot be had now', () => {
  it('are those of other deployments, not those of this one', () => {
    const gpuLocks = [
      { gpu: 0, holder: 'demo (prefill-0)' },
      { gpu: 1, holder: 'demo-2 (prefill-0)' },
    ];
    expect(held({ gpuLocks })).toEqual({ 1: 'held by demo-2 (prefill-0)' });
  });

  it('are those that strangers compute on, unless those are welcome', () => {
    const gpuUsers = [user(2), user(2, { pid: 4712 }), user(3, { user: null }), user(0, { ours: true })];
    expect(held({ gpuUsers })).toEqual({
      2: 'used by pid 4711 of bob (python3) and 1 more',
      3: 'used by pid 4711 (python3)',
    });
    expect(held({ gpuUsers }, true)).toEqual({});
  });

  it('are told by their lock where there is one: what computes there belongs to its holder', () => {
    expect(held({ gpuUsers: [user(1)], gpuLocks: [{ gpu: 1, holder: 'demo (decode-0)' }] })).toEqual({});
    expect(held({ gpuUsers: [user(1)], gpuLocks: [{ gpu: 1, holder: 'ada (decode-0)' }] })).toEqual({
      1: 'held by ada (decode-0)',
    });
  });

  it('are none for the daemon with which several processes share a GPU', () => {
    expect(held({ gpuUsers: [user(0, { command: '/usr/bin/nvidia-cuda-mps-server' })] })).toEqual({});
  });
});
