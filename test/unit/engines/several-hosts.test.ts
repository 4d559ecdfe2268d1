import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engines/engine.ts';
import { sglangEngine } from '../../../src/engines/sglang/sglang-engine.ts';
import { vllmEngine } from '../../../src/engines/vllm/vllm-engine.ts';
import type { WorkerSettings } from '../../../src/engines/worker.ts';
import { planText, recordedFacts } from '../../helpers/recipes.ts';
import { flagValues, workerPlacement, workerSettings } from '../../helpers/worker-settings.ts';

/** Leader and follower of a worker over two hosts. */
function launch(engine: Engine, change: Partial<WorkerSettings>) {
  const worker = workerSettings({ role: 'aggregated', nodes: 2, gpus: 16, ...change });
  return [0, 1].map((rank) =>
    engine.launch(
      worker,
      workerPlacement(engine, worker, {
        address: `10.0.0.${rank + 1}`,
        gpus: [0, 1, 2, 3, 4, 5, 6, 7],
        node: { rank, size: 2, leaderAddress: '10.0.0.1' },
      }),
    ),
  ) as [ReturnType<Engine['launch']>, ReturnType<Engine['launch']>];
}
const flags = (argv: readonly string[], ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, flagValues(argv, `--${name}`)?.join(' ')]));

describe('vllm over several hosts', () => {
  it('shares tensor-parallel ranks out: the hosts meet at the master port, only the leader has a server', () => {
    const [leader, follower] = launch(vllmEngine, { args: { 'tensor-parallel-size': 16, 'api-server-count': 2 } });
    const names = [
      'nnodes',
      'node-rank',
      'master-addr',
      'headless',
      'host',
      'api-server-count',
      'tensor-parallel-size',
    ];
    expect(flags(leader.argv, ...names)).toEqual({
      ...{ nnodes: '2', 'node-rank': '0', 'master-addr': '10.0.0.1', headless: undefined },
      ...{ host: '10.0.0.1', 'api-server-count': '2', 'tensor-parallel-size': '16' },
    });
    expect(flags(follower.argv, ...names)).toEqual({
      ...{ nnodes: '2', 'node-rank': '1', 'master-addr': '10.0.0.1', headless: '' },
      ...{ host: undefined, 'api-server-count': undefined, 'tensor-parallel-size': '16' },
    });
    const port = flagValues(leader.argv, '--master-port');
    expect(port).toBeDefined();
    expect(flagValues(follower.argv, '--master-port')).toEqual(port);
    expect([leader.env['VLLM_HOST_IP'], follower.env['VLLM_HOST_IP']]).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('shares data-parallel ranks out: engines only on the followers, which find the leader by its RPC port', () => {
    const args = { 'data-parallel-size': 16, 'enable-expert-parallel': true };
    const [leader, follower] = launch(vllmEngine, { role: 'prefill', args });
    const names = [
      'data-parallel-size',
      'data-parallel-size-local',
      'data-parallel-start-rank',
      'data-parallel-address',
    ];
    expect(flags(leader.argv, ...names, 'headless', 'nnodes')).toEqual({
      ...{ 'data-parallel-size': '16', 'data-parallel-size-local': '8', 'data-parallel-address': '10.0.0.1' },
      // With it a server that is not headless would balance for its own host only.
      ...{ 'data-parallel-start-rank': undefined, headless: undefined, nnodes: undefined },
    });
    expect(flags(follower.argv, ...names, 'headless')).toEqual({
      ...{ 'data-parallel-size': '16', 'data-parallel-size-local': '8', 'data-parallel-address': '10.0.0.1' },
      ...{ 'data-parallel-start-rank': '8', headless: '' },
    });
    expect(flagValues(follower.argv, '--data-parallel-rpc-port')).toEqual(
      flagValues(leader.argv, '--data-parallel-rpc-port'),
    );
    expect(follower.env).not.toHaveProperty('VLLM_DP_MASTER_PORT');
    // Each rank listens on its own host, at the base port plus its number among all.
    expect(follower.env).toMatchObject({
      VLLM_NIXL_SIDE_CHANNEL_HOST: '10.0.0.2',
      VLLM_NIXL_SIDE_CHANNEL_PORT: leader.env['VLLM_NIXL_SIDE_CHANNEL_PORT'],
    });
    expect(follower.reasons).toContain('runs the data-parallel ranks 8 to 15 of 16');
  });

  it('refuses ranks that do not come out even, and Ray', async () => {
    const check = (args: WorkerSettings['args']) =>
      vllmEngine.check(workerSettings({ role: 'aggregated', nodes: 2, args })).problems.map(({ message }) => message);
    expect(check({ 'data-parallel-size': 3, 'tensor-parallel-size': 2 })).toEqual([
      'the 3 data-parallel ranks cannot be divided over 2 hosts, each of them whole on one host',
    ]);
    expect(check({ 'tensor-parallel-size': 16, 'distributed-executor-backend': 'ray' })).toEqual([
      'dynamo joins hosts by processes of its own (`mp`), without Ray; leave it out',
    ]);
    expect(check({ 'tensor-parallel-size': 16, 'distributed-executor-backend': 'mp' })).toEqual([]);
    expect(check({ 'node-rank': 1 })[0]).toMatch(/the plan assigns it; use `nodes`/);
    const odd = 'model: m\nworkers: { aggregated: { nodes: 2, args: { tensor-parallel-size: 3 } } }\n';
    await expect(planText(odd, [recordedFacts('h100-1'), recordedFacts('h100-2')])).rejects.toMatchObject({
      details: [
        expect.stringMatching(/3 GPUs cannot be divided over 2 hosts evenly$/),
        expect.any(String),
        expect.any(String),
      ],
    });
  });
});

describe('sglang over several hosts', () => {
  it('runs one command everywhere but for rank and address', () => {
    const [leader, follower] = launch(sglangEngine, { args: { tp: 16 } });
    const own = (argv: readonly string[]) => flags(argv, 'nnodes', 'node-rank', 'host', 'dist-init-addr', 'port');
    const meeting = flagValues(leader.argv, '--dist-init-addr')![0];
    expect(meeting).toMatch(/^10\.0\.0\.1:\d+$/);
    const port = flagValues(leader.argv, '--port')![0];
    expect(own(leader.argv)).toEqual({
      nnodes: '2',
      'node-rank': '0',
      host: '10.0.0.1',
      'dist-init-addr': meeting,
      port,
    });
    expect(own(follower.argv)).toEqual({
      nnodes: '2',
      'node-rank': '1',
      host: '10.0.0.2',
      'dist-init-addr': meeting,
      port,
    });
    expect([leader.env['SGLANG_HOST_IP'], follower.env['SGLANG_HOST_IP']]).toEqual(['10.0.0.1', '10.0.0.2']);
  });
});

describe('engines that stay on one host', () => {
  it.each([
    ['trtllm', /cannot span several hosts: TensorRT-LLM needs MPI/],
    ['llamacpp', /cannot span several hosts: llama\.cpp/],
  ])('%s says why', async (engine, message) => {
    const text = `model: m\nengine: ${engine}\nworkers: { aggregated: { nodes: 2 } }\n`;
    await expect(planText(text, [recordedFacts('h100-1')])).rejects.toMatchObject({
      details: expect.arrayContaining([expect.stringMatching(message)]),
    });
  });
});
