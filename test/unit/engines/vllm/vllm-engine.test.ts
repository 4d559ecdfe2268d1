import { describe, expect, it } from 'vitest';
import { diagnose } from '../../../../src/engines/engine.ts';
import { startPhase } from '../../../../src/engines/start-phase.ts';
import { vllmEngine } from '../../../../src/engines/vllm/vllm-engine.ts';
import type { WorkerPlacement, WorkerSettings } from '../../../../src/engines/worker.ts';
import { flagValues, workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = workerSettings;
const placement: WorkerPlacement = workerPlacement(vllmEngine, worker(), {
  ports: { http: '8101', sideChannel: '5610', internal: '20100' },
  gpus: [2, 3],
});
const configOf = (argv: string[]): unknown => JSON.parse(argv[argv.indexOf('--kv-transfer-config') + 1] ?? 'null');

describe('vllm', () => {
  it('serves with what disaggregation needs', () => {
    const { argv, env } = vllmEngine.launch(worker({ args: { 'tensor-parallel-size': 2 } }), placement);
    expect(argv.slice(0, 12)).toEqual([
      ...['vllm', 'serve', 'org/m', '--served-model-name', 'm', '--host', '127.0.0.1', '--port', '8101'],
      ...['--enable-prompt-tokens-details', '--shutdown-timeout', '15'],
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

  it('says to whom `enable-scale-out` opens what', () => {
    const settings = worker({ args: { enable_scale_out: true } });
    const told = (address: string) =>
      vllmEngine.launch(settings, { ...placement, address }).reasons.filter((reason) => reason.includes('scale-out'));
    expect(told('127.0.0.1')[0]).toMatch(/^enable-scale-out: processes of this host can generate from token ids/);
    expect(told('10.0.0.7')[0]).toMatch(/^enable-scale-out: whoever reaches 10\.0\.0\.7:8101 can generate/);
    const { argv, reasons } = vllmEngine.launch(worker(), placement);
    expect([...argv, ...reasons].join()).not.toContain('scale-out');
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
    expect(vllmEngine.ports(settings)).toContainEqual({
      ...{ purpose: 'sideChannel', from: 5600, count: 4 },
      moves: 'always',
    });
  });

  it('lets its peers’ GPUs be seen after its own, for NVLink', () => {
    const { env } = vllmEngine.launch(worker(), { ...placement, gpus: [4, 5], peerGpus: [0, 1, 4] });
    expect(env['CUDA_VISIBLE_DEVICES']).toBe('4,5,0,1');
  });

  it('ends requests within the drain that the recipe allows', () => {
    const seconds = (killAfterMs: number) => {
      const { argv } = vllmEngine.launch(worker(), { ...placement, drain: { inFlightMs: 1, killAfterMs } });
      return flagValues(argv, '--shutdown-timeout');
    };
    expect([60_000, 20_000, 5_000, 0].map(seconds)).toEqual([['55'], ['15'], ['0'], ['0']]);
  });

  it('publishes KV events, a port for each data-parallel rank and as many for their replay', () => {
    const settings = worker({ role: 'aggregated', kvEvents: true, args: { 'data-parallel-size': 2 } });
    expect(vllmEngine.ports(settings).map(({ purpose, count }) => `${purpose} ${count}`)).toEqual([
      ...['http 1', 'internal 100', 'kvEvents 2', 'kvReplay 2', 'dataParallelMaster 1', 'dataParallelRpc 1'],
    ]);
    const { argv, env } = vllmEngine.launch(settings, workerPlacement(vllmEngine, settings));
    expect(JSON.parse(flagValues(argv, '--kv-events-config')?.[0] ?? '')).toEqual({
      enable_kv_cache_events: true,
      publisher: 'zmq',
      endpoint: 'tcp://*:9002',
      replay_endpoint: 'tcp://*:9003',
    });
    expect(flagValues(argv, '--data-parallel-rpc-port')).toEqual(['9005']);
    expect(env['VLLM_DP_MASTER_PORT']).toBe('9004');
  });

  it('shares a GPU by a part of its memory, unless the recipe says how much', () => {
    const share = (args: WorkerSettings['args']) =>
      flagValues(vllmEngine.launch(worker({ workersPerGpu: 2, args }), placement).argv, '--gpu-memory-utilization');
    expect(share({})).toEqual(['0.45']);
    expect(share({ 'gpu-memory-utilization': 0.3 })).toEqual(['0.3']);
    expect(share({ 'kv-cache-memory-bytes': 1e9 })).toBeUndefined();
  });

  it('moves convolution states in the layout NIXL knows', () => {
    const env = (model: string) => vllmEngine.launch(worker({ model }), placement).env;
    expect(env('ai21labs/AI21-Jamba-Mini')).toMatchObject({ VLLM_SSM_CONV_STATE_LAYOUT: 'DS' });
    expect(env('openai/gpt-oss-120b')).not.toHaveProperty('VLLM_SSM_CONV_STATE_LAYOUT');
  });

  it('loads weights with the loader of the recipe', () => {
    const launch = (load: WorkerSettings['load']) => vllmEngine.launch(worker({ load }), placement);
    const { argv, env } = launch({ loader: 'runai_streamer', settings: { concurrency: 16 }, compileCache: '/cache' });
    expect(flagValues(argv, '--load-format')).toEqual(['runai_streamer']);
    expect(flagValues(argv, '--model-loader-extra-config')).toEqual(['{"concurrency":16}']);
    expect(env['VLLM_CACHE_ROOT']).toBe('/cache');
    expect(launch({ loader: 'default', settings: {} }).argv).not.toContain('--load-format');
  });

  it('asks the installed program for its flags, in whatever way it is started', () => {
    const { argv } = vllmEngine.launch(worker({ command: ['uv', 'run', 'vllm'] }), placement);
    expect(vllmEngine.help(argv)).toEqual({
      version: ['uv', 'run', 'vllm', '--version'],
      help: ['uv', 'run', 'vllm', 'serve', '--help=all'],
      distribution: 'vllm',
      versions: { oldest: { version: '0.22.0', because: expect.any(String) }, newest: '0.32.0' },
    });
  });

  it.each([
    [{ args: { port: 1 } }, /^`port` cannot be set here: the plan assigns it/],
    [{ args: { 'served-model-name': 'x' } }, /it is `servedModelName` of the recipe/],
    [{ args: { 'kv-transfer-config.kv_role': 'kv_both' } }, /it follows from `kvTransfer`, `kvOffload` and the role/],
    [{ args: { 'hf-token': 'x' } }, /would be readable in the process list/],
    [{ args: { kv_offloading_size: 4 } }, /overwrites the connector/],
    [{ args: { 'pipeline-parallel-size': 2 } }, /does not work with pipeline parallelism/],
    [{ env: { CUDA_VISIBLE_DEVICES: '0' } }, /the plan assigns GPUs/],
    [{ env: { PYTORCH_CUDA_ALLOC_CONF: 'expandable_segments:True' } }, /refuses expandable_segments/],
    [{ gpus: 1, args: { 'tensor-parallel-size': 2 } }, /is 2, so with 1 GPUs vLLM could not start; make them equal/],
    [{ gpus: 4 }, /is 1, so with 4 GPUs 3 would stay idle; make them equal/],
    [{ args: { 'shutdown-timeout': 5 } }, /it follows from `drain.killAfter`/],
    [{ args: { tp: 2 } }, /^write `tensor-parallel-size` for `tp`/],
    [{ kvOffload: { cpu: 1 }, gpus: 0 }, /from GPUs only/],
    [{ kvOffload: { cpu: 1 }, args: { 'enable-prefix-caching': false } }, /found again by prefix caching/],
    [{ kvOffload: { remote: { backend: 'mooncake', url: 'x' } } }, /through `lmcache`/],
    [{ kvOffload: { cpu: 1 }, args: { 'kv-offloading-size': 4 }, role: 'aggregated' }, /use `kvOffload`/],
    [{ kvEvents: true, args: { 'enable-prefix-caching': false } }, /publishes no KV events/],
    [{ kvEvents: true, args: { 'kv-events-config': {} } }, /the plan assigns the ports/],
    [{ load: { loader: 'remote_instance', settings: {} } }, /loader of sglang/],
    [{ load: { loader: 'sharded_state', settings: {} }, args: { load_format: 'dummy' } }, /it is `load.loader`/],
    [{ workersPerGpu: 2, args: { 'gpu-memory-utilization': 0.9 } }, /2 workers with 0.9 each do not fit/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = vllmEngine.check(worker(change));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toMatch(message);
  });

  it.each([
    ['OSError: [Errno 98] Address already in use', 'PORT_IN_USE'],
    ['torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB', 'EXITED_EARLY'],
    ['vllm: error: unrecognized arguments: --max-model-length 4096', 'EXITED_EARLY'],
    [
      'ValueError: Available memory on node 0 (17.09/23.47 GiB) on kv cache allocation is less than requested memory for kv (4096.0 GiB).',
      'EXITED_EARLY',
    ],
    [
      'ValueError: Available memory on node 0 (9.1/23.47 GiB) on startup is less than desired CPU memory utilization (0.92, 21.59 GiB).',
      'EXITED_EARLY',
    ],
    ['OSError: [Errno 28] No space left on device', 'DISK_FULL'],
    ['ValueError: 64 is not divisible by 3 tensor parallel ranks', 'EXITED_EARLY'],
    ['RuntimeError: remote engine_id mismatch. Expected …', 'KV_PATH_FAILED'],
    ['nixl_cu12._bindings.nixlBackendError: NIXL_ERR_BACKEND', 'KV_PATH_FAILED'],
    ["OSError: Can't load tokenizer for '/models/m'.", 'EXITED_EARLY'],
  ])('knows the failure behind %j', (line, code) => {
    const found = diagnose(vllmEngine, ['INFO starting', line, 'RuntimeError: Engine core initialization failed.']);
    expect(found).toMatchObject({ code, cause: expect.any(String), fix: expect.any(String) });
  });

  it('tells the phases of a start by the lines that vLLM 0.32 prints', () => {
    const lines = [
      "INFO 11-21 08:58:15 [api_utils.py:286] non-default args: {'model_tag': '/m', 'enforce_eager': True}",
      'INFO [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: cudagraph_capture_sizes=[], warmup=1, …',
      'WARNING [vllm.py:1703] Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT kernel warmup.',
      'INFO [cpu_model_runner.py:68] Starting to load model /m...',
      'Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00, 97.54it/s]',
      'INFO [kv_cache_utils.py:2327] CPU KV cache size: 2,097,152 tokens, Maximum concurrency for 4,096 tokens: 512x',
      'INFO [core.py:402] init engine (profile, create kv cache, warmup model) took 0.53 s',
      'INFO [entry.py:140] Starting vLLM server on http://127.0.0.1:8101',
    ];
    expect(lines.map((line) => startPhase(vllmEngine.phases, [line]))).toEqual([
      ...['import', 'import', undefined, 'weights', 'weights', 'memory', 'warm-up', 'warm-up'],
    ]);
  });
});
