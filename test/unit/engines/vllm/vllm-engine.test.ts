import { describe, expect, it } from 'vitest';
import { diagnose, type WorkerPlacement, type WorkerSettings } from '../../../../src/engines/engine.ts';
import { vllmEngine } from '../../../../src/engines/vllm/vllm-engine.ts';

const worker = (change: Partial<WorkerSettings> = {}): WorkerSettings => ({
  path: ['workers', 'decode'],
  role: 'decode',
  model: 'org/m',
  servedModelName: 'm',
  args: {},
  env: {},
  gpus: undefined,
  command: null,
  kvTransfer: { connector: 'nixl', lease: undefined, loadFailurePolicy: 'fail' },
  ...change,
});
const placement: WorkerPlacement = {
  address: '127.0.0.1',
  ports: { http: 8101, sideChannel: 5610, internal: 20_100 },
  gpus: [2, 3],
  selfCommand: ['dynamo'],
  startTimeoutMs: 90_500,
};
const configOf = (argv: string[]): unknown => JSON.parse(argv[argv.indexOf('--kv-transfer-config') + 1] ?? 'null');

describe('vllm', () => {
  it('serves with what disaggregation needs', () => {
    const { argv, env } = vllmEngine.launch(worker({ args: { 'tensor-parallel-size': 2 } }), placement);
    expect(argv.slice(0, 10)).toEqual([
      ...['vllm', 'serve', 'org/m', '--served-model-name', 'm', '--host', '127.0.0.1', '--port', '8101'],
      '--enable-prompt-tokens-details',
    ]);
    expect(argv.slice(-2)).toEqual(['--tensor-parallel-size', '2']);
    expect(configOf(argv)).toEqual({
      kv_connector: 'NixlConnector',
      kv_role: 'kv_consumer',
      kv_load_failure_policy: 'fail',
    });
    expect(env).toEqual({
      VLLM_HTTP_TIMEOUT_KEEP_ALIVE: '75',
      VLLM_ENGINE_READY_TIMEOUT_S: '91',
      VLLM_PORT: '20100',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      CUDA_VISIBLE_DEVICES: '2,3',
      VLLM_NIXL_SIDE_CHANNEL_HOST: '127.0.0.1',
      VLLM_NIXL_SIDE_CHANNEL_PORT: '5610',
    });
  });

  it('hands over through host memory on a CPU, with the lease and policy of the recipe', () => {
    const settings = worker({
      role: 'prefill',
      gpus: 0,
      kvTransfer: { connector: 'nixl', lease: 120_000, loadFailurePolicy: 'recompute' },
      env: { UCX_TLS: 'tcp,sm,self' },
    });
    const { argv, env } = vllmEngine.launch(settings, { ...placement, gpus: [] });
    expect(configOf(argv)).toEqual({
      kv_connector: 'NixlConnector',
      kv_role: 'kv_producer',
      kv_load_failure_policy: 'recompute',
      kv_buffer_device: 'cpu',
      kv_connector_extra_config: { kv_lease_duration: 120 },
    });
    expect(env).toMatchObject({ CUDA_VISIBLE_DEVICES: '', UCX_TLS: 'tcp,sm,self' });
    expect(vllmEngine.kvBlockSize(settings)).toBe(128);
  });

  it('is plain when aggregated, and lets the user bring a connector of their own', () => {
    const settings = worker({
      role: 'aggregated',
      args: { 'kv-transfer-config': { kv_connector: 'LMCacheConnectorV1' } },
    });
    expect(vllmEngine.check(settings).problems).toEqual([]);
    const { argv, env } = vllmEngine.launch(settings, placement);
    expect(configOf(argv)).toEqual({ kv_connector: 'LMCacheConnectorV1' });
    expect(env).not.toHaveProperty('VLLM_NIXL_SIDE_CHANNEL_PORT');
    expect(vllmEngine.kvTransfer(settings)).toBeNull();
    expect(vllmEngine.readiness(settings).at(-1)).toEqual({ kind: 'generate', model: 'm' });
  });

  it('runs another program when told, and writes flags as vLLM takes them', () => {
    const settings = worker({
      role: 'aggregated',
      command: ['uv', 'run', 'vllm'],
      args: { 'enforce-eager': true, 'enable-chunked-prefill': false, 'lora-modules': ['a=b', 'c=d'], dtype: null },
    });
    const { argv } = vllmEngine.launch(settings, placement);
    expect(argv.slice(0, 4)).toEqual(['uv', 'run', 'vllm', 'serve']);
    expect(argv.join(' ')).toMatch(/--enforce-eager --no-enable-chunked-prefill --lora-modules a=b c=d$/);
  });

  it('wants a GPU for each rank and a side-channel port for each data-parallel rank', () => {
    const settings = worker({ args: { tensor_parallel_size: 2, 'data-parallel-size': 4 } });
    expect(vllmEngine.defaultGpus(settings)).toBe(8);
    expect(vllmEngine.ports(settings)).toContainEqual({ purpose: 'sideChannel', from: 5600, count: 4 });
  });

  it.each([
    [{ args: { port: 1 } }, /^`port` cannot be set here: the plan assigns it/],
    [{ args: { 'served-model-name': 'x' } }, /it is `servedModelName` of the recipe/],
    [{ args: { 'kv-transfer-config.kv_role': 'kv_both' } }, /it follows from `kvTransfer` and the role/],
    [{ args: { 'hf-token': 'x' } }, /would be readable in the process list/],
    [{ args: { kv_offloading_size: 4 } }, /overwrites the connector/],
    [{ args: { 'pipeline-parallel-size': 2 } }, /does not work with pipeline parallelism/],
    [{ env: { CUDA_VISIBLE_DEVICES: '0' } }, /the plan assigns GPUs/],
    [{ env: { PYTORCH_CUDA_ALLOC_CONF: 'expandable_segments:True' } }, /refuses expandable_segments/],
    [{ gpus: 1, args: { 'tensor-parallel-size': 2 } }, /is 2, so with 1 GPUs vLLM could not start; make them equal/],
    [{ gpus: 4 }, /is 1, so with 4 GPUs 3 would stay idle; make them equal/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = vllmEngine.check(worker(change));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toMatch(message);
  });

  it.each([
    ['OSError: [Errno 98] Address already in use', 'PORT_IN_USE'],
    ['torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB', 'EXITED_EARLY'],
    ['vllm: error: unrecognized arguments: --max-model-length 4096', 'EXITED_EARLY'],
    ['OSError: [Errno 28] No space left on device', 'DISK_FULL'],
  ])('knows the failure behind %j', (line, code) => {
    const found = diagnose(vllmEngine, ['INFO starting', line, 'RuntimeError: Engine core initialization failed.']);
    expect(found).toMatchObject({ code, cause: expect.any(String), fix: expect.any(String) });
  });
});
