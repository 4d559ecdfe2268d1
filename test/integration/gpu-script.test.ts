import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';

const script = path.join(packageRoot, 'test/gpu/run.sh');
const TOOLS = ['dirname', 'head', 'mkdir', 'mktemp', 'rm', 'tail', 'wc'];

describe('test/gpu/run.sh', () => {
  const tmp = tmpDir();
  let bin = '';
  let index = 0;
  beforeEach(() => {
    index += 1;
    bin = path.join(tmp.dir, `bin-${index}`);
    mkdirSync(bin);
    for (const tool of TOOLS) symlinkSync(path.join('/usr/bin', tool), path.join(bin, tool));
  });
  afterAll(() => tmp[Symbol.dispose]());

  const command = (name: string, lines: string) => {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${lines}\n`);
    chmodSync(path.join(bin, name), 0o755);
  };
  const run = (PATH = bin) => {
    const env = { ...process.env, PATH, TMPDIR: tmp.dir };
    const { status, stdout, stderr } = spawnSync('/bin/bash', [script, path.join(tmp.dir, `out-${index}`)], {
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr, last: stdout.trimEnd().split('\n').at(-1) };
  };

  it('without nvidia-smi: says that nothing is covered, and succeeds', () => {
    const { status, stdout, stderr, last } = run();
    expect({ status, stderr, last }).toEqual({
      status: 0,
      stderr: '',
      last: 'nothing covered: this machine has no NVIDIA GPU',
    });
    expect(stdout).toContain('GPUs: none (nvidia-smi is not installed)');
    expect(stdout).toMatch(/not covered:\n {2}vLLM, SGLang, TensorRT-LLM and llama\.cpp on GPUs/);
  });

  it('with a driver that does not answer: repeats what it says', () => {
    command('nvidia-smi', 'echo "NVIDIA-SMI has failed because it could not talk to the driver."; exit 9');
    const { status, stdout, last } = run();
    expect(status).toBe(0);
    expect(stdout).toContain('GPUs: none that work (nvidia-smi says: NVIDIA-SMI has failed');
    expect(last).toBe('nothing covered: nvidia-smi finds no GPU that works');
  });

  it('with a GPU and no engine: names every engine that is missing', () => {
    command('nvidia-smi', 'echo "0, NVIDIA H100 80GB HBM3, 81559 MiB, 570.86.15"');
    const { status, stdout, last } = run();
    expect(status).toBe(0);
    expect(stdout).toContain('GPUs: 1\n  0, NVIDIA H100 80GB HBM3');
    for (const name of ['vLLM', 'SGLang', 'TensorRT-LLM', 'llama.cpp']) expect(stdout).toMatch(`\n  ${name}: `);
    expect(last).toBe('nothing covered: no engine is installed');
  });

  it('fails when something that could be tried goes wrong, and says where to look', () => {
    command('nvidia-smi', 'echo "0, NVIDIA H100 80GB HBM3, 81559 MiB, 570.86.15"');
    command('vllm', 'echo broken >&2; exit 1');
    const { status, stdout } = run(`${bin}:/usr/bin:/bin`);
    expect(status).toBe(1);
    expect(stdout).toMatch(/FAILED:\n {2}vllm-aggregated: .*vllm-aggregated\.(plan|smoke)\.txt/);
    expect(stdout).toContain('vllm-1p1d: needs 2 GPUs, this machine has 1');
  });
});
