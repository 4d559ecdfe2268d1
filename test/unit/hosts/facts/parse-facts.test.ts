import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseFacts } from '../../../../src/hosts/facts/parse-facts.ts';
import { readSections } from '../../../../src/hosts/facts/sections.ts';
import type { HostEntry } from '../../../../src/hosts/host-entry.ts';
import { hostFactsSchema } from '../../../../src/hosts/host-facts.ts';

const recorded = (name: string): string =>
  readFileSync(path.resolve(import.meta.dirname, `../../../fixtures/probe/${name}.txt`), 'utf8');
const entry = (over: Partial<HostEntry> = {}): HostEntry => ({
  name: 'gpu-a',
  address: '10.20.0.17',
  local: false,
  labels: { rack: 'r1' },
  env: {},
  ...over,
});
const read = (text: string, over: Partial<HostEntry> = {}, known?: Parameters<typeof parseFacts>[3]) =>
  parseFacts(readSections(text), entry(over), { sentAt: 1_760_000_000_480, receivedAt: 1_760_000_002_130 }, known);
const GIB = 1024 ** 3;

describe('parseFacts', () => {
  it('reads a host with eight GPUs behind NVSwitch', () => {
    const facts = read(recorded('8xh100-nvswitch'));
    expect(hostFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
    expect(facts).toMatchObject({
      name: 'gpu-a',
      address: '10.20.0.17',
      platform: 'linux',
      arch: 'x64',
      bootId: '4f6a1c6e-7a52-4ad8-9a0e-0a63f7e1b0c7',
      cpus: 224,
      memoryBytes: 2_113_462_272 * 1024,
      driver: '580.65.06',
      gpuProblem: null,
      glibc: '2.35',
      os: 'Ubuntu 22.04.5 LTS',
      user: 'ada',
      home: '/home/ada',
      shell: '/bin/zsh',
      node: { path: '/usr/bin/node', version: '12.22.9' },
      labels: { rack: 'r1' },
      listeningPorts: [22, 8000],
      ephemeralPorts: { first: 32_768, last: 60_999 },
      commands: { vllm: '/opt/vllm/bin/vllm', 'trtllm-serve': null },
      limits: { openFiles: 1024, lockedMemoryBytes: 8 * 1024 ** 2 },
      sshAddress: '10.20.0.17',
      defaultNic: 'eno1',
      // Sent at .480, began at .500; ended at .100, received at .130: 30 ms one way and 20 ms the other, or 25 and 5 off.
      clockSkewMs: -5,
      clockUncertaintyMs: 25,
      numa: [
        { node: 0, cpus: '0-55,112-167' },
        { node: 1, cpus: '56-111,168-223' },
      ],
      freeDisk: { '/home/ada': 3072 * GIB, '/tmp': 1_507_944_960 * 1024, '/dev/shm': 1_056_731_136 * 1024 },
    });
    expect(facts.gpus).toHaveLength(8);
    expect(facts.gpus[5]).toMatchObject({
      index: 5,
      name: 'NVIDIA H100 80GB HBM3',
      memoryBytes: 81_559 * 1024 ** 2,
      memoryUsedBytes: 4 * 1024 ** 2,
      pciBusId: '00000000:BB:00.0',
      numaNode: 1,
    });
    expect(facts.nvlink?.[0]).toEqual([0, 18, 18, 18, 18, 18, 18, 18]);
    expect(facts.gpuPaths?.[7]?.[7]).toBe('X');
    expect(facts.rdma).toHaveLength(10);
    expect(facts.rdma?.find((port) => port.device === 'mlx5_3')).toEqual({
      device: 'mlx5_3',
      port: 1,
      state: 'active',
      rateGbps: 400,
      linkLayer: 'InfiniBand',
      numaNode: 0,
      netdev: 'ibs1',
      gpuPaths: ['NODE', 'PIX', 'NODE', 'NODE', 'SYS', 'SYS', 'SYS', 'SYS'],
    });
    expect(facts.rdma?.at(-1)).toMatchObject({ device: 'mlx5_2', state: 'down', linkLayer: 'Ethernet' });
    expect(facts.nics?.find((nic) => nic.name === 'eno1')).toEqual({
      name: 'eno1',
      state: 'up',
      speedMbps: 1000,
      mtu: 1500,
      numaNode: 0,
      physical: true,
      // The temporary address is left out.
      addresses: [
        { address: '10.20.0.17', prefixBits: 24 },
        { address: '2001:db8:20::17', prefixBits: 64 },
      ],
    });
    expect(facts.engines).toEqual({
      vllm: { path: '/opt/vllm/bin/vllm', version: '0.13.0', packages: { nixl_cu12: '0.7.1', torch: '2.9.0' } },
      'llama-server': { path: '/opt/llama.cpp/bin/llama-server', version: '7010', packages: {} },
    });
    expect(facts.gpuUsers).toEqual([
      {
        gpu: 6,
        pid: 41_234,
        user: 'grace',
        memoryBytes: 71_226 * 1024 ** 2,
        command: '/opt/conda/bin/python',
        ours: false,
      },
      { gpu: 0, pid: 50_001, user: 'ada', memoryBytes: 512 * 1024 ** 2, command: 'VLLM::EngineCore', ours: true },
    ]);
  });

  it('reads two sockets with NVLink pairs, an old driver and a coarse clock', () => {
    const facts = read(recorded('4xa100-pairs'));
    expect(facts.nvlink).toEqual([
      [0, 12, 0, 0],
      [12, 0, 0, 0],
      [0, 0, 0, 12],
      [0, 0, 12, 0],
    ]);
    expect(facts.gpuPaths?.[0]).toEqual(['X', 'NV12', 'SYS', 'SYS']);
    expect(facts.gpus.map((gpu) => gpu.numaNode)).toEqual([0, 0, 1, 1]);
    expect(facts.rdma).toMatchObject([
      { device: 'mlx5_0', state: 'active', gpuPaths: ['NODE', 'NODE', 'SYS', 'SYS'] },
      { device: 'mlx5_1', state: 'init', gpuPaths: ['SYS', 'SYS', 'PXB', 'PXB'] },
    ]);
    expect(facts).toMatchObject({
      sshAddress: '2001:db8:1::33',
      address: '2001:db8:1::33',
      node: null,
      limits: { openFiles: 65_536, lockedMemoryBytes: null },
      clockUncertaintyMs: expect.any(Number),
    });
    expect(facts.clockUncertaintyMs).toBeGreaterThanOrEqual(1000);
  });

  it('reads a machine without GPUs', () => {
    const facts = read(recorded('no-gpu'), { name: 'local', address: 'local', local: true, labels: {} });
    expect(facts).toMatchObject({ name: 'local', address: '127.0.0.1', gpus: [], gpuProblem: null, driver: null });
    expect(facts).toMatchObject({ rdma: [], engines: {}, cpus: 2, glibc: '2.36', defaultNic: 'eth0' });
    expect(facts).not.toHaveProperty('nvlink');
    expect(facts.nics?.map((nic) => nic.name)).toEqual(['eth0', 'ifb0', 'ifb1']);
  });

  it('keeps to the GPUs and devices that the hosts file allows, links included', () => {
    const facts = read(recorded('8xh100-nvswitch'), { gpus: [6, 7, 9], nics: ['mlx5_11', 'ens1f0np0'] });
    expect(facts.gpus.map((gpu) => gpu.index)).toEqual([6, 7]);
    expect(facts.nvlink).toEqual([
      [0, 18],
      [18, 0],
    ]);
    expect(facts.rdma?.map((port) => [port.device, port.gpuPaths])).toEqual([
      ['mlx5_11', ['NODE', 'PIX']],
      // Allowed by the name of its network interface.
      ['mlx5_1', ['SYS', 'SYS']],
    ]);
    expect(facts.nics?.map((nic) => nic.name)).toEqual(['ens1f0np0']);
    // A stranger on a GPU that is not ours to use is told all the same.
    expect(facts.gpuUsers?.map((user) => user.gpu)).toEqual([6, 0]);
  });

  it('takes the topology of the same boot from earlier facts, and no other', () => {
    const text = recorded('8xh100-nvswitch');
    const first = read(text);
    const without = text.replace(/@@topology[\s\S]*?@@ended/, '@@ended');
    expect(read(without, {}, first)).toMatchObject({
      nvlink: first.nvlink,
      gpuPaths: first.gpuPaths,
      rdma: first.rdma,
    });
    expect(read(without, {}, { ...first, bootId: 'another' })).not.toHaveProperty('nvlink');
    expect(read(without, { gpus: [1] }, first)).not.toHaveProperty('nvlink');
  });

  it('says why there are no GPUs though there is a driver', () => {
    const [before] = recorded('8xh100-nvswitch').split('@@gpus');
    const failed = (lines: string) => read(`${before}@@gpus\n@@gpu-failed\n${lines}\n@@ended\n1760000002.1\n@@done\n`);
    expect(failed('18\nFailed to initialize NVML: Driver/library version mismatch')).toMatchObject({
      gpus: [],
      gpuProblem: 'nvidia-smi failed with status 18: Failed to initialize NVML: Driver/library version mismatch',
    });
    expect(failed('124').gpuProblem).toBe('nvidia-smi did not answer within 20 s');
  });

  it('makes facts that the schema accepts of whatever is cut off or garbled', () => {
    const text = recorded('8xh100-nvswitch');
    for (let end = 0; end < text.length; end += 997) {
      const garbled = text.slice(0, end) + text.slice(end, end + 400).replace(/[0-9|]/g, '?') + text.slice(end + 400);
      for (const shown of [text.slice(0, end), garbled])
        expect(hostFactsSchema.safeParse(read(shown)).error).toBeUndefined();
    }
    expect(readSections(text.slice(0, -10)).complete).toBe(false);
  });
});
