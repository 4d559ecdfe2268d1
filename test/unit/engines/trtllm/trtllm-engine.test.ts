import { describe, expect, it } from 'vitest';
import { diagnose } from '../../../../src/engines/engine.ts';
import { trtllmEngine } from '../../../../src/engines/trtllm/trtllm-engine.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { flagValues, workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = workerSettings;
const launch = (settings: WorkerSettings, change = {}) =>
  trtllmEngine.launch(settings, workerPlacement(trtllmEngine, settings, change));

describe('trtllm', () => {
  it('serves with flags in underscores', () => {
    const { argv, env, files } = launch(
      worker({ role: 'aggregated', args: { 'tp-size': 2, 'trust-remote-code': true, 'log-level': 'info' } }),
      { gpus: [0, 1] },
    );
    expect(argv).toEqual([
      ...['trtllm-serve', 'serve', 'org/m', '--served_model_name', 'm', '--host', '127.0.0.1', '--port', '9000'],
      ...['--tp_size', '2', '--trust_remote_code', '--log_level', 'info'],
    ]);
    expect(env).toEqual({ CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: '0,1' });
    expect(files).toBeUndefined();
    expect(trtllmEngine.help(argv)).toEqual({
      version: ['trtllm-serve', '--version'],
      help: ['trtllm-serve', 'serve', '--help'],
      distribution: 'tensorrt_llm',
      versions: null,
    });
  });

  it('hands over through a transceiver, with the options of the recipe in the same file', () => {
    const settings = worker({
      role: 'prefill',
      kvTransfer: { connector: 'nixl', lease: 60_000, loadFailurePolicy: 'fail' },
      args: {
        'extra-llm-api-options': {
          kv_cache_config: { tokens_per_block: 64 },
          cache_transceiver_config: { max_tokens_in_buffer: 8192 },
        },
      },
    });
    const { argv, files } = launch(settings);
    expect(flagValues(argv, '--extra_llm_api_options')).toEqual(['{file:llm-api-options.json}']);
    expect(files?.map(({ name, content }) => [name, JSON.parse(content)])).toEqual([
      [
        'llm-api-options.json',
        {
          kv_cache_config: { tokens_per_block: 64 },
          return_perf_metrics: true,
          perf_metrics_max_requests: 1_000,
          disable_overlap_scheduler: true,
          cache_transceiver_config: { backend: 'NIXL', kv_transfer_timeout_ms: 60_000, max_tokens_in_buffer: 8192 },
        },
      ],
    ]);
    expect(trtllmEngine.kvBlockSize(settings)).toBe(64);
    expect(trtllmEngine.kvBlockSize(worker())).toBe(32);
    expect(trtllmEngine.kvTransfer(settings)).toBe('trtllm-context-first');
    const decode = launch(worker({ role: 'decode' })).files?.[0]?.content ?? '';
    expect(JSON.parse(decode)).toEqual({
      return_perf_metrics: true,
      perf_metrics_max_requests: 1_000,
      cache_transceiver_config: { backend: 'NIXL' },
    });
  });

  it.each([
    [{ args: { 'extra-llm-api-options': '/etc/options.yaml' } }, /expected a map/],
    [{ args: { server_role: 'CONTEXT' } }, /each request says its role/],
    [{ gpus: 0 }, /runs on GPUs only/],
    [{ gpus: 2 }, /tp-size × pp-size × cp-size is 1/],
    [{ gpus: 2, args: { tensor_parallel_size: 2, cp_size: 2 } }, /is 4, so 2 GPUs do not fit/],
    [{ kvEvents: true }, /one poller over HTTP/],
    [{ kvOffload: { cpu: 1 } }, /host_cache_size/],
    [{ load: { loader: 'fastsafetensors', settings: {} } }, /one loader/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = trtllmEngine.check(worker(change));
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ['Error: No such option: --max_sequence', 'EXITED_EARLY'],
    ['OSError: [Errno 98] Address already in use', 'PORT_IN_USE'],
    ['prompt of 9000 tokens exceeds max_tokens_in_buffer', 'KV_PATH_FAILED'],
  ])('knows the failure behind %j', (line, code) => {
    expect(diagnose(trtllmEngine, [line])).toMatchObject({ code });
  });
});
