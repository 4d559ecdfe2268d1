import { describe, expect, it } from 'vitest';
import { diagnose } from '../../../../src/engines/engine.ts';
import { sglangEngine } from '../../../../src/engines/sglang/sglang-engine.ts';
import { startPhase } from '../../../../src/engines/start-phase.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { flagValues, workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = workerSettings;
const launch = (settings: WorkerSettings, change = {}) =>
  sglangEngine.launch(settings, workerPlacement(sglangEngine, settings, change));

describe('sglang', () => {
  it('says everything that SGLang would otherwise guess', () => {
    const { argv, env } = launch(worker({ role: 'aggregated', args: { tp_size: 2 } }), { gpus: [2, 3] });
    expect(argv).toEqual([
      ...['sglang', 'serve', '--model-path', 'org/m', '--served-model-name', 'm'],
      ...['--host', '127.0.0.1', '--port', '9000', '--page-size', '64'],
      ...['--dist-init-addr', '127.0.0.1:9001', '--nccl-port', '9002'],
      ...['--enable-metrics', '--enable-cache-report', '--tp-size', '2'],
    ]);
    expect(env).toEqual({
      SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: 'false',
      SGLANG_TIMEOUT_KEEP_ALIVE: '75',
      SGLANG_WARMUP_TIMEOUT: '91',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      CUDA_VISIBLE_DEVICES: '2,3',
    });
  });

  it('hands over with NIXL, and decode workers find prefill workers by their bootstrap server', () => {
    const prefill = worker({
      role: 'prefill',
      kvTransfer: { connector: 'nixl', lease: 60_000, loadFailurePolicy: 'fail' },
    });
    const { argv, env, reasons } = launch(prefill, { gpus: [0], peerGpus: [1] });
    expect(flagValues(argv, '--disaggregation-mode')).toEqual(['prefill']);
    expect(flagValues(argv, '--disaggregation-transfer-backend')).toEqual(['nixl']);
    expect(flagValues(argv, '--disaggregation-bootstrap-port')).toEqual(['9003']);
    expect(env).toMatchObject({
      SGLANG_HOST_IP: '127.0.0.1',
      SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT: '60',
      SGLANG_DISAGGREGATION_WAITING_TIMEOUT: '60',
      CUDA_VISIBLE_DEVICES: '0,1',
    });
    expect(reasons.join('\n')).toMatch(/after a restart of one side .* the other side must restart as well/);
    expect(sglangEngine.readiness(prefill).at(-1)).toMatchObject({ kind: 'http', port: 'bootstrap' });
    const decode = launch(worker({ role: 'decode' }));
    expect(decode.argv).not.toContain('--disaggregation-bootstrap-port');
    expect(decode.env['SGLANG_DISAGGREGATION_WAITING_TIMEOUT']).toBe('120');
    expect(sglangEngine.kvTransfer(prefill)).toBe('sglang-bootstrap');
  });

  it('reserves the ports of DP attention above its first, and one event port for each rank', () => {
    const settings = worker({
      role: 'prefill',
      kvEvents: true,
      args: { 'tp-size': 8, 'dp-size': 8, 'enable-dp-attention': true },
    });
    const ports = new Map(sglangEngine.ports(settings).map(({ purpose, count }) => [purpose, count]));
    expect(Object.fromEntries(ports)).toEqual({
      http: 1,
      distInit: 14,
      nccl: 1,
      bootstrap: 1,
      kvEvents: 8,
      kvReplay: 8,
    });
    expect(sglangEngine.defaultGpus(settings)).toBe(8);
    expect(sglangEngine.defaultGpus(worker({ args: { 'tp-size': 2, dp: 2 } }))).toBe(4);
    const { argv } = launch(settings);
    expect(JSON.parse(flagValues(argv, '--kv-events-config')?.[0] ?? '')).toEqual({
      publisher: 'zmq',
      endpoint: 'tcp://*:9004',
      replay_endpoint: 'tcp://*:9005',
    });
  });

  it('publishes KV events where there is a prefix cache, and says so where there is none', () => {
    const decode = worker({ role: 'decode', kvEvents: true });
    expect(sglangEngine.ports(decode).map(({ purpose }) => purpose)).not.toContain('kvEvents');
    const { argv, reasons } = launch(decode);
    expect(argv).not.toContain('--kv-events-config');
    expect(reasons).toContain('publishes no KV events: an SGLang decode worker keeps no prefix cache to tell of');
    const cached = worker({ ...decode, args: { 'disaggregation-decode-enable-radix-cache': true } });
    expect(launch(cached).argv).toContain('--kv-events-config');
  });

  it('writes switches as SGLang has them, without a no-form, and the page size once', () => {
    const { argv } = launch(
      worker({ role: 'aggregated', args: { 'trust-remote-code': true, 'enable-lora': false, 'page-size': 16 } }),
    );
    expect(argv).toContain('--trust-remote-code');
    expect(argv.join(' ')).not.toMatch(/enable-lora/);
    expect(argv.filter((word) => word === '--page-size')).toHaveLength(1);
    expect(flagValues(argv, '--page-size')).toEqual(['16']);
  });

  it('runs the module in place of the command, and on a CPU', () => {
    const { argv, env } = launch(
      worker({ role: 'aggregated', gpus: 0, command: ['python3', '-m', 'sglang.launch_server'] }),
      { gpus: [] },
    );
    expect(argv.slice(0, 4)).toEqual(['python3', '-m', 'sglang.launch_server', '--model-path']);
    expect(flagValues(argv, '--device')).toEqual(['cpu']);
    expect(env['CUDA_VISIBLE_DEVICES']).toBe('');
    expect(sglangEngine.help(argv)).toEqual({
      version: ['python3', '-m', 'sglang.launch_server', '--version'],
      help: ['python3', '-m', 'sglang.launch_server', '--help'],
      distribution: 'sglang',
      versions: { oldest: null, newest: '0.5.18' },
    });
    expect(sglangEngine.help(launch(worker()).argv)).toEqual({
      version: ['sglang', '--version'],
      help: ['sglang', 'serve', '--help'],
      distribution: 'sglang',
      versions: { oldest: null, newest: '0.5.18' },
    });
  });

  it('keeps KV blocks in HiCache', () => {
    const tiers = { cpu: 64e9, disk: { path: '/nvme/kv' } };
    const { argv, env } = launch(worker({ role: 'prefill', args: { 'tp-size': 2 }, kvOffload: tiers }));
    expect(argv).toContain('--enable-hierarchical-cache');
    expect(flagValues(argv, '--hicache-size')).toEqual(['32']);
    expect(flagValues(argv, '--hicache-storage-backend')).toEqual(['file']);
    expect(env['SGLANG_HICACHE_FILE_BACKEND_STORAGE_DIR']).toBe('/nvme/kv');
    const remote = launch(
      worker({ role: 'aggregated', kvOffload: { remote: { backend: 'mooncake', url: 'master:50051' } } }),
    );
    expect(flagValues(remote.argv, '--hicache-storage-backend')).toEqual(['mooncake']);
    expect(remote.argv).not.toContain('--hicache-size');
    expect(remote.env['MOONCAKE_MASTER']).toBe('master:50051');
  });

  it('loads weights as told', () => {
    const load = (loader: NonNullable<WorkerSettings['load']>['loader'], settings = {}) =>
      launch(worker({ load: { loader, settings, compileCache: '/cache' } }));
    expect(flagValues(load('runai_streamer', { concurrency: 16 }).argv, '--model-loader-extra-config')).toEqual([
      '{"concurrency":16}',
    ]);
    const seed = load('remote_instance', { 'seed-instance-ip': '10.0.0.1', 'send-weights-group-ports': [1, 2] }).argv;
    expect(flagValues(seed, '--remote-instance-weight-loader-seed-instance-ip')).toEqual(['10.0.0.1']);
    expect(flagValues(seed, '--remote-instance-weight-loader-send-weights-group-ports')).toEqual(['[1,2]']);
    const express = load('modelexpress', { url: 'mx:8001' }).argv;
    expect(flagValues(express, '--load-format')).toEqual(['remote_instance']);
    expect(flagValues(express, '--modelexpress-config')).toEqual(['{"url":"mx:8001"}']);
    expect(load('default').argv).not.toContain('--load-format');
    expect(load('default').env).toMatchObject({ SGLANG_DG_CACHE_DIR: '/cache/deep_gemm' });
  });

  it.each([
    [{ args: { 'disaggregation-mode': 'prefill' } }, /follows from the role/],
    [{ args: { 'disaggregation-decode-tp': 4 } }, /SGLang has removed it/],
    [{ args: { 'skip-tokenizer-init': true } }, /need the tokenizer/],
    [{ gpus: 3, args: { 'tp-size': 2 } }, /make 2, so 3 GPUs do not fit/],
    [{ gpus: 0 }, /between GPUs only/],
    [{ args: { 'tp-size': 4, 'dp-size': 3, 'enable-dp-attention': true } }, /must divide tp-size/],
    [{ kvOffload: { cpu: 1e9 } }, /keeps no prefix cache/],
    [
      { role: 'prefill', args: { 'tp-size': 4 }, kvOffload: { cpu: 3.9e9 } },
      /whole GB of each rank: expected at least 3.7 GiB for 4 of them/,
    ],
    [
      { load: { loader: 'remote_instance', settings: { 'seed-instance-ip': '10.0.0.1' } } },
      /needs `seed-instance-service-port`, `send-weights-group-ports`/,
    ],
    [
      { load: { loader: 'remote_instance', settings: { backend: 'transfer_engine' } } },
      /`seed-instance-service-port`$/,
    ],
    [
      {
        args: { 'tp-size': 2 },
        load: {
          loader: 'remote_instance',
          settings: { seed_instance_ip: 'a', seed_instance_service_port: 30000, send_weights_group_ports: [35000] },
        },
      },
      /a port for each of 2 tensor-parallel ranks/,
    ],
    [{ role: 'prefill', kvOffload: { remote: { backend: 'lmcache', url: 'x' } } }, /through `mooncake`/],
    [{ role: 'aggregated', kvEvents: true, args: { 'disable-radix-cache': true } }, /publishes no KV events/],
    [
      { kvTransfer: { connector: 'nixl', lease: undefined, loadFailurePolicy: 'recompute' } },
      /cannot read a prompt again/,
    ],
    [{ env: { CUDA_VISIBLE_DEVICES: '0' } }, /the plan assigns GPUs/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = sglangEngine.check(worker(change));
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
  });

  it('knows combinations that do not work', () => {
    const names = (settings: Partial<WorkerSettings>) =>
      sglangEngine.check(worker(settings)).combinations?.map(({ name, verdict }) => `${name} ${verdict}`);
    expect(names({ args: { 'dp-size': 2 } })).toEqual(['plain-data-parallel-transfer broken']);
    expect(names({ role: 'aggregated', args: { 'dp-size': 2 } })).toEqual([]);
    expect(names({ model: 'openai/gpt-oss-120b' })).toEqual(['hybrid-nixl risky']);
    const pair = (model: string) =>
      sglangEngine
        .checkPair(worker({ role: 'prefill', model, args: { tp: 2 } }), worker({ model, args: { 'tp-size': 4 } }))
        .combinations?.map(({ name, verdict }) => `${name} ${verdict}`);
    expect(pair('meta-llama/Llama-3.3-70B')).toEqual(['unequal-tp risky']);
    expect(pair('openai/gpt-oss-20b')).toEqual(['unequal-tp broken']);
    const { problems } = sglangEngine.checkPair(worker({ args: { 'kv-cache-dtype': 'fp8_e5m2' } }), worker());
    expect(problems[0]?.message).toMatch(/is not set for decode but fp8_e5m2 for prefill/);
    for (const rule of ['plain-data-parallel-transfer', 'hybrid-nixl', 'unequal-tp'])
      expect(sglangEngine.combinations).toContain(rule);
  });

  it.each([
    ['RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.', 'EXITED_EARLY'],
    ['ValueError: Not enough host memory available. Requesting 150.00 GB but only have 88.10 GB free.', 'EXITED_EARLY'],
    [
      'AssertionError: The host memory should be larger than the device memory with the current protocol',
      'EXITED_EARLY',
    ],
    ['[Errno 98] address already in use', 'PORT_IN_USE'],
    ['sglang.srt.server: error: unrecognized arguments: --disaggregation-decode-tp 2', 'EXITED_EARLY'],
    ['RuntimeError: Ninja is required to load C++ extensions', 'EXITED_EARLY'],
    ['Exception: Lost connection with prefill instance (bootstrap_addr: 10.0.0.1:8998)', 'KV_PATH_FAILED'],
    ['nixl_cu12._bindings.nixlNotFoundError: NIXL_ERR_NOT_FOUND', 'KV_PATH_FAILED'],
  ])('knows the failure behind %j', (line, code) => {
    expect(diagnose(sglangEngine, ['starting', line, 'Received sigquit from a child process.'])).toMatchObject({
      code,
    });
  });

  it('tells the phases of a start', () => {
    const lines = [
      'server_args=ServerArgs(model_path=…)',
      'Load weight begin. avail mem=78.5 GB',
      'KV Cache is allocated. #tokens: 400000',
      'Capture cuda graph begin. This can take up to several minutes.',
      'The server is fired up and ready to roll!',
    ];
    expect(lines.map((line) => startPhase(sglangEngine.phases, [line]))).toEqual([
      ...['import', 'weights', 'memory', 'capture', 'warm-up'],
    ]);
  });
});
