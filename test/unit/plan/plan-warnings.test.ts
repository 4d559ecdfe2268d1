import { expect, it } from 'vitest';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';

const PAIR =
  'model: m\nworkers: { prefill: { gpus: 8, args: { tensor-parallel-size: 8 } }, decode: { gpus: 8, args: { tensor-parallel-size: 8 } } }\n';
const engine = (version: string): HostFacts['engines'] => ({ vllm: { path: '/v', version, packages: {} } });
const rdma = (state: string): HostFacts['rdma'] => [
  { device: 'mlx5_0', port: 1, state, rateGbps: 400, linkLayer: 'InfiniBand', numaNode: 0, netdev: null },
];
const warnings = async (first: Partial<HostFacts>, second: Partial<HostFacts>): Promise<string[]> => {
  const plan = await planText(PAIR, [recordedFacts('h100-1', first), recordedFacts('h100-2', second)]);
  return plan.warnings.filter((text) => !text.includes('without access control'));
};

it('warns of engines that differ between hosts which must understand each other', async () => {
  expect(await warnings({ engines: engine('0.29.0') }, { engines: engine('0.32.0') })).toEqual([
    'vllm is 0.29.0 on h100-1 but 0.32.0 on h100-2: its workers hand KV cache over, and span hosts, only with one version',
  ]);
  expect(await warnings({ engines: engine('0.32.0') }, { engines: engine('0.32.0') })).toEqual([]);
  expect(await warnings({ engines: engine('0.32.0') }, {})).toEqual([]);
});

it('warns of KV cache that will leave a host without RDMA', async () => {
  expect(await warnings({ rdma: rdma('active') }, { rdma: rdma('down') })).toEqual([
    'no active RDMA device on h100-2: KV cache between hosts goes over TCP there, which is far slower',
  ]);
  expect(await warnings({ rdma: [] }, {})).toHaveLength(1);
  expect(await warnings({ rdma: rdma('active') }, { rdma: rdma('ACTIVE') })).toEqual([]);
  const together = await planText(PAIR.replaceAll('8', '4'), [recordedFacts('h100-1', { rdma: [] })]);
  expect(together.warnings.filter((text) => text.includes('RDMA'))).toEqual([]);
});

it('names the hosts on which a program is missing', async () => {
  const commands = { vllm: null };
  expect(await warnings({ commands }, { commands })).toEqual([
    expect.stringMatching(/^`vllm` was not found on h100-1, h100-2\. Install it/),
  ]);
});
