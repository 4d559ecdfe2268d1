import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseFacts } from '../../../src/hosts/facts/parse-facts.ts';
import { readSections } from '../../../src/hosts/facts/sections.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import type { LaunchPlan } from '../../../src/plan/launch-plan.ts';
import { workerNetwork } from '../../../src/plan/worker-network.ts';
import { planText } from '../../helpers/recipes.ts';

const probe = readFileSync(path.resolve(import.meta.dirname, '../../fixtures/probe/8xh100-nvswitch.txt'), 'utf8');

/** Facts of a recorded host with eight GPUs and ten RDMA devices, as another of its kind would have them. */
function host(name: string, nics?: string[], dataAddress?: string): HostFacts {
  const number = name.at(-1)!;
  const text = probe.replaceAll('10.20.0.17', `10.20.0.${number}`);
  const entry: HostEntry = {
    ...{ name, address: `10.20.0.${number}`, local: false, labels: {}, env: {} },
    ...(nics && { nics }),
    ...(dataAddress !== undefined && { dataAddress }),
  };
  return parseFacts(readSections(text), entry, { sentAt: 1_760_000_000_480, receivedAt: 1_760_000_002_130 });
}

describe('the network of a worker', () => {
  it('is not limited where the hosts file says nothing; the nearest devices are told', () => {
    const facts = host('gpu-1');
    expect(workerNetwork(facts, undefined, [5])).toEqual({
      allowed: null,
      dataInterface: 'eno1',
      nearest: expect.arrayContaining([expect.stringMatching(/^mlx5_\d+:1 \(PIX\)$/)]),
    });
    expect(workerNetwork(facts, undefined, [])).toMatchObject({ nearest: [] });
  });

  it('knows RDMA ports from interfaces, and leaves out what is down or not there', () => {
    const nics = ['mlx5_3', 'ens1f0np0', 'mlx5_2', 'eth77'];
    expect(workerNetwork(host('gpu-1', nics), nics, [0]).allowed).toEqual({
      // The RDMA device of an interface that is allowed is allowed.
      rdma: expect.arrayContaining(['mlx5_3:1', 'mlx5_1:1']),
      interfaces: ['ens1f0np0'],
      down: ['mlx5_2:1'],
    });
  });

  it('goes by names where facts know no devices', () => {
    const { nics: _nics, rdma: _rdma, ...facts } = host('gpu-1');
    expect(workerNetwork(facts, ['mlx5_0', 'ens1'], [0])).toEqual({
      allowed: { rdma: ['mlx5_0:1'], interfaces: ['ens1'], down: [] },
      ...{ dataInterface: null, nearest: [] },
    });
  });

  it('knows the interface of the data-plane address though only an RDMA device is allowed', () => {
    expect(workerNetwork(host('gpu-1', ['mlx5_3']), ['mlx5_3'], [0]).dataInterface).toBe('eno1');
  });
});

const NICS = ['mlx5_3', 'mlx5_4', 'eno1'];
const PAIR = `name: pair
model: org/m
engine: vllm
discovery: { backend: etcd, managed: true }
workers:
  prefill: { gpus: 8, args: { tensor-parallel-size: 8 } }
  decode: { gpus: 8, args: { tensor-parallel-size: 8 } }
`;
const setup = (nics?: string[], env = {}) => ({
  ...{ selfCommand: ['dynamo'], discoveryRoot: '/state/discovery', env },
  ...(nics && { nics }),
});

function worker(plan: LaunchPlan, name: string) {
  const spec = plan.processes.find((process) => process.name === name)!;
  const network = /^(UCX|NCCL|GLOO)_/;
  return {
    env: Object.fromEntries(Object.entries(spec.env).filter(([key]) => network.test(key))),
    why: spec.reasons.filter((reason) => /UCX|NCCL|Gloo/.test(reason)),
  };
}

describe('nics of the hosts file', () => {
  it('become UCX_NET_DEVICES of workers that hand KV cache over, each host its own, with the reason', async () => {
    const facts = [host('gpu-1', NICS), host('gpu-2')];
    const plan = await planText(PAIR, facts, { hosts: { 'gpu-1': setup(NICS), 'gpu-2': setup() } });
    const names = ['gpu-1', 'gpu-2'].map(
      (on) => plan.processes.find((spec) => spec.host === on && spec.kvTransfer !== null)!.name,
    ) as [string, string];
    expect(worker(plan, names[0])).toEqual({
      env: { UCX_NET_DEVICES: 'mlx5_3:1,mlx5_4:1,eno1' },
      why: [
        'UCX_NET_DEVICES has the `nics` of the hosts file',
        'UCX_NET_DEVICES=mlx5_3:1,mlx5_4:1,eno1 is set: UCX is what NIXL moves blocks with, NCCL_* do not matter to it',
      ],
    });
    expect(worker(plan, names[1])).toEqual({
      env: {},
      why: [expect.stringMatching(/^UCX chooses .*are not set; nearest to its GPUs: mlx5_/)],
    });
  });

  it('give way to what the recipe writes, then to what the hosts file writes as env', async () => {
    const hosts = { 'gpu-1': setup(['mlx5_3']), 'gpu-2': setup(['mlx5_3'], { UCX_NET_DEVICES: 'mlx5_9:1' }) };
    const facts = [host('gpu-1', ['mlx5_3']), host('gpu-2', ['mlx5_3'])];
    const text = PAIR.replace('8 } }\n', '8 }, env: { UCX_NET_DEVICES: all } }\n');
    const plan = await planText(text, facts, { hosts });
    const on = (name: string) => plan.processes.find((spec) => spec.name.startsWith(name))!;
    const written = worker(plan, 'prefill-0');
    expect(written.env).toEqual({ UCX_NET_DEVICES: 'all' });
    expect(written.why.join()).not.toContain('nics');
    expect(worker(plan, 'decode-0').env).toEqual({
      // Peers find each other over TCP.
      UCX_NET_DEVICES: on('decode').host === 'gpu-2' ? 'mlx5_9:1' : 'mlx5_3:1,eno1',
    });
  });

  it('become NCCL and Gloo variables of a worker over several hosts only', async () => {
    const text =
      'name: wide\nmodel: org/m\nengine: vllm\ndiscovery: { backend: etcd, managed: true }\n' +
      'workers: { aggregated: { nodes: 2, gpus: 16, args: { tensor-parallel-size: 16 } } }\n';
    const facts = [host('gpu-1', NICS), host('gpu-2', ['eno1'])];
    const plan = await planText(text, facts, { hosts: { 'gpu-1': setup(NICS), 'gpu-2': setup(['eno1']) } });
    expect(worker(plan, 'aggregated-0')).toEqual({
      env: {
        ...{ NCCL_SOCKET_IFNAME: '=eno1', GLOO_SOCKET_IFNAME: 'eno1' },
        NCCL_IB_HCA: '=mlx5_3:1,mlx5_4:1',
      },
      why: [
        'NCCL and Gloo meet on eno1, which has the data-plane address 10.20.0.1',
        'NCCL_IB_HCA has the RDMA devices among `nics` of the hosts file',
      ],
    });
    expect(worker(plan, 'aggregated-0-node1').env).toEqual({
      ...{ NCCL_SOCKET_IFNAME: '=eno1', GLOO_SOCKET_IFNAME: 'eno1' },
      NCCL_IB_DISABLE: '1',
    });
    const one = text.replace('nodes: 2, gpus: 16', 'gpus: 8').replace('16 } }', '8 } }');
    const alone = await planText(one, facts, { hosts: { 'gpu-1': setup(NICS), 'gpu-2': setup(['eno1']) } });
    expect(worker(alone, 'aggregated-0').env).toEqual({});
  });
});
