import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { freePort } from '../helpers/free-port.ts';
import type { CliResult } from '../helpers/run-cli.ts';
import { waitFor } from '../helpers/until.ts';

/**
 * Engines that are not there, not right, or do not come up: each is a clear error before or at the start, and nothing is left. The
 * engine is a fake that says and does what the real one was seen to.
 */

const fake = path.join(packageRoot, 'test', 'fixtures', 'engines', 'servers', 'vllm.ts');

interface Fault {
  version?: string;
  /** Lines it prints before that end. */
  says?: readonly string[];
  end?: 'exit' | 'hang' | 'serve';
  roles?: readonly ('aggregated' | 'prefill' | 'decode')[];
  args?: string;
  /** Default: long enough for whatever else is to happen. */
  startTimeout?: string;
  /** Chosen far from what other deployments of this machine take: an engine that hangs leaves its port to anyone. */
  port?: number;
}

/** A recipe on the CPU whose `vllm` is found on PATH. */
function recipe(
  box: Sandbox,
  { version, says = [], end = 'serve', roles = ['aggregated'], args = '{}', startTimeout = '2m', port }: Fault,
): string {
  const env = { FAKE_VERSION: version ?? '0.32.0', FAKE_SAYS: says.join('|'), FAKE_END: end };
  const group = (role: string) => `
  ${role}:
    gpus: 0
${port === undefined ? '' : `    port: ${port}\n`}    startTimeout: ${startTimeout}
    env: ${JSON.stringify(env)}
    args: ${args}
`;
  return box.file(
    'bad.yaml',
    `name: bad\nmodel: org/demo\nservedModelName: demo\nengine: vllm\nfrontend: { port: auto }\nworkers:${roles.map(group).join('')}`,
  );
}

/** A sandbox with a `vllm` on PATH, or without any. */
function sandbox(installed = true): Sandbox {
  const box = new Sandbox();
  const program = box.file('vllm', `#!/bin/sh\nexec ${process.execPath} ${fake} "$@"\n`);
  chmodSync(program, installed ? 0o755 : 0o644);
  box.env['PATH'] = `${path.dirname(program)}:${path.dirname(process.execPath)}:/usr/bin:/bin`;
  return box;
}

async function fails(box: Sandbox, fault: Fault): Promise<CliResult> {
  const result = await box.run('serve', recipe(box, fault));
  await waitFor('nothing to be left', () => box.processes().length === 0);
  return result;
}

describe('an engine that is not right', () => {
  it('is not installed: the command that installs it', async () => {
    await using box = sandbox(false);
    const { code, stderr } = await fails(box, {});
    expect(stderr).toContain('command not found: vllm [COMMAND_NOT_FOUND]');
    expect(stderr).toMatch(/hint: .*uv pip install vllm/);
    expect(code).toBe(4);
  });

  it('is too old: which one it is, which is needed, how to get it', async () => {
    await using box = sandbox();
    const { code, stderr } = await fails(box, { version: '0.11.2' });
    expect(stderr).toMatch(/vllm 0\.11\.2 is too old: dynamo needs 0\.22\.0 or newer .*\[RECIPE_INVALID\]/);
    expect(stderr).toMatch(/hint: .*uv pip install vllm/);
    expect(code).toBe(3);
  });

  it('has no such flag: the nearest one', async () => {
    await using box = sandbox();
    const { code, stderr } = await fails(box, { args: '{ max-model-length: 4096 }' });
    expect(stderr).toContain('vllm 0.32.0 has no flag --max-model-length; did you mean --max-model-len?');
    expect(code).toBe(3);
  });

  it('cannot tell its version: it is not called missing, and serves', async () => {
    await using box = sandbox();
    const { code, stderr } = await box.run('serve', recipe(box, { version: 'broken' }), '--detach');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect((await box.ready('bad')).state).toBe('ready');
    expect((await box.run('stop', 'bad')).code).toBe(0);
  });
});

describe('settings that do not suit the model', () => {
  const CONFIG = { architectures: ['LlamaForCausalLM'], num_attention_heads: 32, num_key_value_heads: 8 };
  const LIMITS = { num_hidden_layers: 2, max_position_embeddings: 8192, torch_dtype: 'bfloat16' };

  /** A folder with these files; weights are empty, as nothing is to load them. */
  function model(box: Sandbox, files: Record<string, string>): string {
    const folder = path.join(box.home, 'model');
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
    return folder;
  }
  const WHOLE = {
    'config.json': JSON.stringify({ ...CONFIG, ...LIMITS }),
    'tokenizer.json': '{}',
    'model.safetensors': '',
  };
  const { 'tokenizer.json': _, ...noTokenizer } = WHOLE;
  const pair = (prefill: string, decode: string) =>
    `prefill: { gpus: 0, args: ${prefill} }\n  decode: { gpus: 0, args: ${decode} }`;

  it.each([
    ['a folder that is missing', {}, '', 'aggregated: { gpus: 0 }', /there is no file or folder .*model\/gone/],
    ['a folder without a model', { readme: '' }, null, 'aggregated: { gpus: 0 }', /model has no config\.json/],
    ['a configuration that cannot be read', { 'config.json': '{' }, null, 'aggregated: { gpus: 0 }', /is not JSON/],
    ['no tokenizer', noTokenizer, null, 'aggregated: { gpus: 0 }', /has no tokenizer \(tokenizer\.json/],
    [
      'a tensor-parallel size that does not divide its heads',
      WHOLE,
      null,
      'aggregated: { gpus: 0, args: { tensor-parallel-size: 3 } }',
      /3 does not divide the model's 32 attention heads; sizes that do: 1, 2, 4/,
    ],
    [
      'a text longer than it takes',
      WHOLE,
      null,
      'aggregated: { gpus: 0, args: { max-model-len: 16384 } }',
      /the model takes 8192 tokens at most/,
    ],
    [
      'types that differ between the roles',
      WHOLE,
      null,
      pair('{ dtype: bfloat16 }', '{ dtype: float16 }'),
      /`dtype` is float16 for decode but not set for prefill workers; NIXL needs them equal/,
    ],
    [
      'a combination that is known to be broken',
      { ...WHOLE, 'config.json': JSON.stringify({ ...CONFIG, ...LIMITS, is_encoder_decoder: true }) },
      null,
      pair('{}', '{}'),
      /NIXL does not move the KV cache of models with a separate encoder; use `aggregated`.*allow: \[encoder-decoder-transfer\]/,
    ],
  ])('%s: refused with its place before anything starts', async (_name, files, gone, workers, message) => {
    await using box = sandbox();
    const folder = model(box, files);
    const recipe = box.file(
      'bad.yaml',
      `name: bad\nmodel: ${gone === null ? folder : `${folder}/gone`}\nservedModelName: demo\nengine: vllm\nfrontend: { port: auto }\nworkers:\n  ${workers}\n`,
    );
    const { code, stderr } = await box.run('serve', recipe);
    expect(stderr.replaceAll('\n', ' ')).toMatch(message);
    expect(stderr).toMatch(/bad\.yaml:\d+/);
    expect(stderr).toContain('[RECIPE_INVALID]');
    expect(code).toBe(3);
    expect(box.processes()).toEqual([]);
  });
});

describe('an engine that ends while it starts', () => {
  it.each([
    [
      'out of memory',
      'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB',
      'the GPU had not enough free memory',
      'Lower gpu-memory-utilization',
    ],
    [
      'no room for KV cache',
      'ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`',
      'the weights leave too little memory for the KV cache',
      'Lower max-model-len',
    ],
    [
      'no tokenizer',
      "OSError: Can't load tokenizer for '/models/demo'. If you were trying to load it from 'https://huggingface.co/models'",
      'the model has no tokenizer that this engine can read',
      'Put the tokenizer files beside the weights',
    ],
  ])('%s: cause, next step, last lines, crash report', async (_, line, cause, fix) => {
    await using box = sandbox();
    // What a vLLM says of it at last is a consequence.
    const says = ['INFO 11-21 08:10:15 [core.py:93] Initializing a V1 LLM engine', line];
    const { code, stderr } = await fails(box, {
      says: [...says, 'RuntimeError: Engine core initialization failed. See root cause above.'],
      end: 'exit',
    });
    expect(stderr).toContain(`aggregated-0 ended while starting: exit status 1: ${cause} [EXITED_EARLY]`);
    expect(stderr).toContain(line);
    expect(stderr).toContain(`hint: ${fix}`);
    expect(stderr).toMatch(/crash report: \/.*aggregated-0-.*\.txt/);
    expect(code).toBe(5);
  });
});

describe('an engine that does not come up', () => {
  const loading = [
    'INFO 11-21 08:10:15 [api_server.py:1] vLLM API server version 0.32.0',
    'INFO 11-21 08:10:20 [gpu_model_runner.py:1] Starting to load model org/demo...',
    'Loading safetensors checkpoint shards:  14% Completed | 1/7'.replace('|', '/'),
  ];

  it('is slow: at the deadline, what was waited for, the phase and for how long, the last line', async () => {
    await using box = sandbox();
    const { code, stderr } = await fails(box, {
      says: loading,
      end: 'hang',
      startTimeout: '8s',
      port: await freePort(),
    });
    expect(stderr).toContain('aggregated-0 was not ready within 8.0 s: waited for GET /health to answer 200');
    expect(stderr).toMatch(
      /hint: It was loading weights for \d+\.\d s\. Its last line, \d+\.\d s before, was: Loading safe/,
    );
    expect(stderr).toContain('Starting to load model org/demo...');
    expect(stderr).toContain('[NOT_READY]');
    expect(code).toBe(5);
  });

  it('hangs after an error that is known: the cause and the next step', async () => {
    await using box = sandbox();
    const says = [...loading, 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB'];
    const { code, stderr } = await fails(box, { says, end: 'hang', startTimeout: '8s', port: await freePort() });
    expect(stderr).toMatch(/was not ready within 8\.0 s: .*; its output tells: the GPU had not enough free memory/);
    expect(stderr).toMatch(/hint: Lower gpu-memory-utilization/);
    expect(code).toBe(5);
  });

  it('hangs because its side-channel port is taken: found out at once, other ports are tried, then it is an error', async () => {
    await using box = sandbox();
    const { code, stdout, stderr } = await fails(box, {
      says: [loading[0]!, "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:5600')"],
      end: 'hang',
      roles: ['prefill', 'decode'],
    });
    expect(stdout).toContain('a port was taken between plan and start; planning with others');
    expect(stderr).toMatch(/cannot become ready: the port of its KV side channel was taken .*\[PORT_IN_USE\]/);
    expect(stderr).not.toContain('was not ready within');
    expect(code).toBe(4);
  });
});
