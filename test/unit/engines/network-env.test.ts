import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engines/engine.ts';
import { mockerEngine } from '../../../src/engines/mocker/mocker-engine.ts';
import { sglangEngine } from '../../../src/engines/sglang/sglang-engine.ts';
import { trtllmEngine } from '../../../src/engines/trtllm/trtllm-engine.ts';
import { vllmEngine } from '../../../src/engines/vllm/vllm-engine.ts';
import type { WorkerNetwork, WorkerSettings } from '../../../src/engines/worker.ts';
import { workerPlacement, workerSettings } from '../../helpers/worker-settings.ts';

const NETWORK: WorkerNetwork = {
  allowed: { rdma: ['mlx5_0:1'], interfaces: [], down: ['mlx5_1:1'] },
  dataInterface: 'ens1',
  nearest: [],
};

function networkOf(
  engine: Engine,
  { network = NETWORK, address = '10.0.0.1', node = false, ...change }: Partial<WorkerSettings> & Given = {},
) {
  const worker = workerSettings({ args: {}, ...change });
  const placement = { address, network, ...(node ? { node: { rank: 1, size: 2, leaderAddress: '10.0.0.9' } } : {}) };
  const { env, reasons } = engine.launch(worker, workerPlacement(engine, worker, placement));
  return {
    env: Object.fromEntries(Object.entries(env).filter(([name]) => /^(UCX|NCCL|GLOO)_/.test(name))),
    why: reasons.filter((reason) => /nics|Gloo/.test(reason)),
  };
}
interface Given {
  network?: WorkerNetwork;
  address?: string;
  node?: boolean;
}

describe.each([vllmEngine, sglangEngine, trtllmEngine])('$name', (engine) => {
  it('moves KV cache over the devices that are allowed, and one by which peers find each other', () => {
    expect(networkOf(engine)).toEqual({
      env: { UCX_NET_DEVICES: 'mlx5_0:1,ens1' },
      why: [
        'UCX_NET_DEVICES has the `nics` of the hosts file, without mlx5_1:1, whose link is down, and ens1, by which peers find each other',
      ],
    });
    expect(networkOf(engine, { address: '127.0.0.1' }).env).toEqual({ UCX_NET_DEVICES: 'mlx5_0:1,lo' });
  });

  it('takes an allowed interface as the one that peers find each other by', () => {
    const network = { ...NETWORK, allowed: { rdma: ['mlx5_0:1'], interfaces: ['ens2', 'ens3'], down: [] } };
    expect(networkOf(engine, { network }).env).toEqual({ UCX_NET_DEVICES: 'mlx5_0:1,ens2,ens3' });
  });

  it('says and sets nothing where nothing is limited, nothing is handed over, or the recipe wrote it down', () => {
    const nothing = { env: {}, why: [] };
    expect(networkOf(engine, { network: { ...NETWORK, allowed: null } })).toEqual(nothing);
    expect(networkOf(engine, { role: 'aggregated' })).toEqual(nothing);
    const env = { UCX_NET_DEVICES: 'all' };
    expect(networkOf(engine, { env })).toEqual({ env, why: [] });
  });
});

describe.each([vllmEngine, sglangEngine])('$name over several hosts', (engine) => {
  const wide = { role: 'aggregated', nodes: 2, gpus: 16, node: true } as const;

  it('meets on the interface of the data-plane address, also where devices are not limited', () => {
    expect(networkOf(engine, { ...wide, network: { ...NETWORK, allowed: null } })).toEqual({
      env: { NCCL_SOCKET_IFNAME: '=ens1', GLOO_SOCKET_IFNAME: 'ens1' },
      why: ['NCCL and Gloo meet on ens1, which has the data-plane address 10.0.0.1'],
    });
    const unknown = { allowed: null, dataInterface: null, nearest: [] };
    expect(networkOf(engine, { ...wide, network: unknown })).toEqual({ env: {}, why: [] });
  });

  it('keeps NCCL to the RDMA devices that are allowed, by whole names, and off RDMA where none is', () => {
    expect(networkOf(engine, wide).env).toMatchObject({ NCCL_IB_HCA: '=mlx5_0:1' });
    const none = { ...NETWORK, allowed: { rdma: [], interfaces: ['ens1'], down: [] } };
    expect(networkOf(engine, { ...wide, network: none }).env).toMatchObject({ NCCL_IB_DISABLE: '1' });
    const env = { NCCL_IB_HCA: 'mlx5_7', NCCL_SOCKET_IFNAME: 'ens' };
    expect(networkOf(engine, { ...wide, network: none, env }).env).toEqual({ ...env, GLOO_SOCKET_IFNAME: 'ens1' });
  });
});

it('the simulated engine moves nothing and is told nothing', () => {
  expect(networkOf(mockerEngine)).toEqual({ env: {}, why: [] });
});
