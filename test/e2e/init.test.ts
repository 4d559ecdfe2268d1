import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { hasTmux, TmuxTerminal } from '../helpers/tmux-terminal.ts';

const dynamo = path.join(packageRoot, 'bin', 'dynamo');

/** In a folder of its own, without a GPU and without engines. */
function workplace() {
  const tmp = tmpDir();
  const env = { ...process.env, DYNAMO_HOME: path.join(tmp.dir, '.home'), PATH: '/usr/bin:/bin' };
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(dynamo, args, { cwd: tmp.dir, env, encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const read = (name: string) => readFileSync(path.join(tmp.dir, name), 'utf8');
  return { ...tmp, env, run, read };
}

describe('dynamo init', () => {
  it('writes what suits the machine, and says what to do next', () => {
    using place = workplace();
    const { status, stdout } = place.run('init');
    expect(stdout).toMatch(/^wrote mock\.yaml\n\nNext:\n {2}dynamo plan mock\.yaml\n {2}dynamo serve mock\.yaml\n/);
    expect(status).toBe(0);
    expect(place.run('recipe', 'validate', 'mock.yaml').status).toBe(0);
    expect(place.run('plan', 'mock.yaml').stdout).toContain('prefill-0');
  });

  it('takes everything from options, and names the deployment after the file', () => {
    using place = workplace();
    const args = [
      '--model',
      'my/Model-7B',
      '--engine',
      'vllm',
      '--gpus',
      '2',
      '--port',
      '9001',
      '--output',
      'my llm.yaml',
    ];
    const { status, stdout } = place.run('init', 'one-host-pd', ...args);
    expect(status).toBe(0);
    expect(stdout).toContain('vllm is not installed here');
    const text = place.read('my llm.yaml');
    for (const part of [
      'name: my-llm\n',
      'model: my/Model-7B\n',
      'port: 9001\n',
      'gpus: 2\n',
      'tensor-parallel-size: 2\n',
    ])
      expect(text).toContain(part);
    expect(place.run('recipe', 'validate', 'my llm.yaml').status).toBe(0);
  });

  it('writes a hosts file beside a recipe for several hosts', () => {
    using place = workplace();
    const { stdout } = place.run('init', 'two-hosts-pd', '--json');
    expect((JSON.parse(stdout) as { files: string[] }).files.map((file) => path.basename(file))).toEqual([
      'two-hosts-pd.yaml',
      'hosts.yaml',
    ]);
    expect(place.read('hosts.yaml')).toContain('- name: gpu-a');
  });

  it('never overwrites without --force, not even one file of two', () => {
    using place = workplace();
    writeFileSync(path.join(place.dir, 'hosts.yaml'), 'mine\n');
    const refused = place.run('init', 'two-hosts-pd');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('hosts.yaml exists already');
    expect(place.read('hosts.yaml')).toBe('mine\n');
    expect(existsSync(path.join(place.dir, 'two-hosts-pd.yaml'))).toBe(false);
    expect(place.run('init', 'two-hosts-pd', '--force').status).toBe(0);
    expect(place.read('hosts.yaml')).not.toBe('mine\n');
  });

  it.each([
    [['nosuch'], 2, 'there is no template nosuch'],
    [['mock', '--engine', 'vllm'], 2, 'is not written for vllm'],
    [['one-gpu', '--gpus', 'many'], 2, '--gpus: many is not'],
    [['mock', '--port', '99999'], 2, '--port: 99999 is not'],
    [['one-gpu', '--model', ''], 3, 'RECIPE_INVALID'],
  ])('%j ends with %i and writes nothing', (args, status, message) => {
    using place = workplace();
    const result = place.run('init', ...args);
    expect(result.stderr).toContain(message);
    expect(result.status).toBe(status);
    expect(readdirSync(place.dir).filter((name) => name.endsWith('.yaml'))).toEqual([]);
  });

  it('says what is in the way when it cannot write', () => {
    using place = workplace();
    const { status, stderr } = place.run('init', 'mock', '--output', '/proc/nosuch/mock.yaml');
    expect(stderr).toContain('/proc/nosuch');
    expect(stderr).not.toContain('bug in dynamo');
    expect(status).not.toBe(0);
  });

  it('lists its templates', () => {
    using place = workplace();
    expect(place.run('init', '--list').stdout).toContain('two-hosts-pd');
  });
});

describe.skipIf(!hasTmux)('dynamo init on a terminal', () => {
  const terminal = (dir: string, env: NodeJS.ProcessEnv, ...args: string[]) =>
    new TmuxTerminal(['init', ...args], env, { columns: 80, rows: 24 }, dir);

  it('asks four questions; Enter takes what is proposed', async () => {
    using place = workplace();
    using screen = terminal(place.dir, place.env);
    await screen.shows(/Template \[mock\]$/m);
    screen.press('2', 'Enter');
    await screen.shows(/Engine \(vllm, .*\) \[vllm\]$/m);
    screen.press('fortran', 'Enter');
    await screen.shows(/one of vllm, sglang/);
    screen.press('Enter');
    await screen.shows(/Model \[Qwen\/Qwen3-0.6B\]$/m);
    screen.press('my/Model', 'Enter');
    await screen.shows(/or auto \[8000\]$/m);
    screen.press('auto', 'Enter');
    expect(await screen.exitStatus()).toBe(0);
    expect(screen.everything()).toContain('wrote one-gpu.yaml');
    expect(place.read('one-gpu.yaml')).toContain('model: my/Model\n');
    expect(place.read('one-gpu.yaml')).toContain('port: auto\n');
  });

  it('leaves with Ctrl-C and writes nothing', async () => {
    using place = workplace();
    using screen = terminal(place.dir, place.env);
    await screen.shows(/Template \[mock\]$/m);
    screen.press('C-c');
    expect(await screen.exitStatus()).not.toBe(0);
    expect(screen.everything()).toContain('nothing was written');
    expect(execFileSync('ls', [place.dir], { encoding: 'utf8' })).toBe('');
  });
});
