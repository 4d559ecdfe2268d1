import { describe, expect, it } from 'vitest';
import { diagnose } from '../../../../src/engines/engine.ts';
import { llamacppEngine } from '../../../../src/engines/llamacpp/llamacpp-engine.ts';
import { startPhase } from '../../../../src/engines/start-phase.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { workerPlacement, workerSettings } from '../../../helpers/worker-settings.ts';

const worker = (change: Partial<WorkerSettings> = {}) =>
  workerSettings({ role: 'aggregated', model: '/models/m.gguf', ...change });
const launch = (settings: WorkerSettings, change = {}) =>
  llamacppEngine.launch(settings, workerPlacement(llamacppEngine, settings, change));

describe('llamacpp', () => {
  it('serves a file on the CPU unless GPUs are asked for', () => {
    const { argv, env } = launch(worker({ args: { 'ctx-size': 8192, parallel: 4, mmap: false } }), { gpus: [] });
    expect(argv).toEqual([
      ...['llama-server', '--model', '/models/m.gguf', '--alias', 'm', '--host', '127.0.0.1', '--port', '9000'],
      ...['--metrics', '--slots', '--n-gpu-layers', '0', '--ctx-size', '8192', '--parallel', '4', '--no-mmap'],
    ]);
    expect(env).toEqual({ CUDA_VISIBLE_DEVICES: '' });
    expect(llamacppEngine.defaultGpus(worker())).toBe(0);
    expect(llamacppEngine.help(argv)).toEqual({
      version: ['llama-server', '--version'],
      help: ['llama-server', '--help'],
      distribution: null,
      versions: null,
    });
  });

  it('takes a hub id, and GPUs', () => {
    const { argv, env, reasons } = launch(
      worker({ model: 'ggml-org/gpt-oss-20b-GGUF:Q4_K_M', gpus: 2, args: { 'tensor-split': [1, 1] } }),
      { gpus: [4, 5] },
    );
    expect(argv.slice(1, 3)).toEqual(['--hf-repo', 'ggml-org/gpt-oss-20b-GGUF:Q4_K_M']);
    expect(argv.slice(-2)).toEqual(['--tensor-split', '1,1']);
    expect(argv).not.toContain('--n-gpu-layers');
    expect(env['CUDA_VISIBLE_DEVICES']).toBe('4,5');
    expect(reasons).toContain('the model is a hub id: it is downloaded before the port opens');
  });

  it.each([
    [{ args: { model: 'x' } }, /it is `model` of the recipe/],
    [{ args: { 'api-key': 'x' } }, /no key to send/],
    [{ env: { LLAMA_ARG_PORT: '1' } }, /the plan assigns it/],
    [{ kvEvents: true }, /publishes none/],
    [{ kvOffload: { cpu: 1 } }, /cache-ram/],
  ] as [Partial<WorkerSettings>, RegExp][])('refuses %j', (change, message) => {
    const { problems } = llamacppEngine.check(worker(change));
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ["srv  start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8100", 'PORT_IN_USE'],
    ['gguf_init_from_file: failed to open GGUF file /models/m.gguf', 'EXITED_EARLY'],
    ['error: invalid argument: --slot-count', 'EXITED_EARLY'],
    [
      "llama_model_load: error loading model: tensor 'blk.0.attn_v.weight' data is not within the file bounds",
      'EXITED_EARLY',
    ],
  ])('knows the failure behind %j', (line, code) => {
    expect(diagnose(llamacppEngine, [line, 'main: exiting due to model loading error'])).toMatchObject({ code });
  });

  it('tells the phases of a start', () => {
    const lines = [
      'build: 6200 (abcdef) with cc',
      'load_tensors: loading model tensors, this can take a while',
      'llama_kv_cache: size = 1024.00 MiB',
      'common_init_from_params: warming up the model with an empty run',
    ];
    const phases = lines.map((line) => startPhase(llamacppEngine.phases, [line]));
    expect(phases).toEqual(['import', 'weights', 'memory', 'warm-up']);
    // What 0.7.0 (build 11669) printed on a CPU.
    const printed = [
      '0.00.099.082 I srv  llama_server: initializing ...',
      "0.00.108.595 I srv    load_model: loading model '/models/tiny.gguf'",
      '0.00.138.995 I cmn          init: llama threadpool init, n_threads = 1',
      "0.00.148.526 I srv    load_model: initializing, n_slots = 2, n_ctx_slot = 4096, kv_unified = 'false'",
      '0.00.157.391 I srv  llama_server: model loaded',
    ];
    expect(printed.map((line) => startPhase(llamacppEngine.phases, [line]))).toEqual([
      ...['import', 'weights', 'memory', 'memory', 'warm-up'],
    ]);
  });
});
