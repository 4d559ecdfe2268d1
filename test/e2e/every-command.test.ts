import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { visibleCommands } from '../../src/commands/cli-docs.ts';
import { buildProgram } from '../../src/commands/program.ts';
import { COMMANDS } from '../../src/commands/registry.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';

/**
 * A call of each command, as a script would make it, and its exit status. A command that is not named here is called without
 * arguments and may refuse that, but not with a stack.
 */
const CALLS: Record<string, { args: string[]; status: number }> = {
  serve: { args: ['quickstart', '--dry-run'], status: 0 },
  status: { args: [], status: 0 },
  attach: { args: ['nosuch'], status: 7 },
  logs: { args: ['--tail', '3'], status: 0 },
  ls: { args: [], status: 0 },
  events: { args: ['--tail', '3'], status: 0 },
  open: { args: [], status: 0 },
  chat: { args: ['quickstart', 'Hello', '--max-tokens', '4'], status: 0 },
  restart: { args: ['nosuch'], status: 2 },
  scale: { args: ['decode=2'], status: 0 },
  wait: { args: ['ready', '--timeout', '30s'], status: 0 },
  hosts: { args: ['show', 'nosuch'], status: 4 },
  doctor: { args: [], status: 0 },
  drain: { args: ['nosuch'], status: 2 },
  stop: { args: ['nosuch'], status: 7 },
  smoke: { args: ['nosuch.yaml'], status: 3 },
  bench: { args: ['quickstart', '--request-count', '4', '--isl', '16', '--osl', '4'], status: 0 },
  plan: { args: ['quickstart'], status: 0 },
  recipe: { args: ['list'], status: 0 },
  init: { args: ['--list'], status: 0 },
  env: { args: [], status: 0 },
  version: { args: [], status: 0 },
  completion: { args: ['bash'], status: 0 },
  frontend: { args: ['--no-such-flag'], status: 2 },
  mocker: { args: ['--no-such-flag'], status: 2 },
};

/** Further calls, of commands that have several ways. */
const MORE: Record<string, { args: string[]; status: number }> = {
  'bench RECIPE': { args: ['bench', 'nosuch.yaml'], status: 3 },
  'restart --rolling': { args: ['restart', '--rolling', 'nosuch'], status: 2 },
  'wait stopped': { args: ['wait', 'stopped', '--timeout', '100ms'], status: 6 },
  'wait idle': { args: ['wait', 'idle', '--timeout', '30s'], status: 0 },
  'status --json': { args: ['status', '--json'], status: 0 },
  'status --watch': { args: ['status', 'nosuch', '--watch'], status: 7 },
  'events --json': { args: ['events', '--json', '--tail', '3'], status: 0 },
  'doctor kv-path': { args: ['doctor', 'kv-path'], status: 0 },
  'serve --json': { args: ['serve', 'nosuch.yaml', '--json'], status: 3 },
};

const dynamo = path.join(packageRoot, 'bin', 'dynamo');
const names = COMMANDS.filter((entry) => !entry.hidden).map((entry) => entry.name);
const callOf = (name: string) => MORE[name]?.args ?? [name, ...(CALLS[name]?.args ?? [])];
const statusOf = (name: string) => (MORE[name] ?? CALLS[name])?.status;
/** No colours, no cursor control, no UTF-8: the poorest terminal there is. */
const POOR = { NO_COLOR: '1', TERM: 'dumb', LC_ALL: 'C', LANG: '', LC_CTYPE: '' };
let box: Sandbox;

beforeAll(async () => {
  box = new Sandbox();
  const { code, stderr } = await box.run('serve', 'quickstart', '--set', 'frontend.port=auto', '--detach');
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => box[Symbol.asyncDispose]());

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(dynamo, args, {
    env: { ...process.env, ...box.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: 60_000,
  });

describe.each([...names, ...Object.keys(MORE)])('dynamo %s', (name) => {
  it('works without a terminal, colour and UTF-8', () => {
    const { status, stdout, stderr } = run(callOf(name), POOR);
    const text = stdout + stderr;
    expect(text).toMatch(/^[\x20-\x7e\t\n]*$/);
    expect(text).not.toContain('bug in dynamo');
    if (statusOf(name) !== undefined) expect(status, text).toBe(statusOf(name));
    else expect(status, text).not.toBe(1);
    if (status !== 0) expect(stderr).toMatch(/^(error|hint): |--help for usage|^Usage: /m);
  });

  it('survives a reader that has gone', async () => {
    const child = spawn(dynamo, callOf(name), {
      env: { ...process.env, ...box.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    expect(stderr).not.toMatch(/EPIPE|bug in dynamo/);
    expect(status, stderr).not.toBe(1);
    expect(status, stderr).not.toBeNull();
  });
});

describe('60 columns', () => {
  it('are enough: no command fails for them, and none prints control codes without colour', () => {
    const words = [...names, ...Object.keys(MORE)]
      .filter((name) => name !== 'bench')
      .map((name) => callOf(name).join(' '));
    const calls = words.map((call) => `${dynamo} ${call} < /dev/null; echo "EXIT=$?"`).join('; ');
    const { stdout } = spawnSync('script', ['-qec', `stty cols 60; ${calls}`, '/dev/null'], {
      env: { ...process.env, ...box.env, ...POOR, SHELL: '/bin/sh' },
      encoding: 'utf8',
    });
    const statuses = [...stdout.matchAll(/EXIT=(\d+)/g)].map(([, status]) => status);
    expect(statuses).toHaveLength(words.length);
    expect(statuses).not.toContain('1');
    expect(stdout).toMatch(/^[\x20-\x7e\t\r\n]*$/);
  });
});

describe('help', () => {
  const paths = visibleCommands(buildProgram('')).map((command) => {
    const words = [command.name()];
    for (let up = command.parent; up?.parent; up = up.parent) words.unshift(up.name());
    return words;
  });

  it('fits 60 columns, in every command', () => {
    // One pseudo-terminal for all of them; `script` comes with util-linux.
    const calls = paths.map((words) => `${dynamo} ${words.join(' ')} --help`).join('; ');
    const { stdout } = spawnSync('script', ['-qec', `stty cols 60; ${calls}`, '/dev/null'], {
      env: { ...process.env, ...box.env, SHELL: '/bin/sh' },
      encoding: 'utf8',
    });
    expect(stdout.match(/^Usage: dynamo/gm)).toHaveLength(paths.length);
    // Examples are commands to copy: they are not wrapped by us. Usage lines are commander's, a single word is whole.
    const mayBeLong = (line: string) => /^( {2}\$ |Usage: )/.test(line) || !/\s/.test(line.trim());
    const long = stdout.split(/\r?\n/).filter((line) => line.length > 60 && !mayBeLong(line));
    expect(long).toEqual([]);
  });

  it('is printed without UTF-8 too', () => {
    for (const words of [[], ...paths]) {
      const { status, stdout } = run([...words, '--help'], POOR);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^[\x20-\x7e\n]+$/);
    }
  });

  it('ends well when nobody reads it', () => {
    const { stdout } = spawnSync('bash', ['-c', `${dynamo} --help | head -0; echo "\${PIPESTATUS[0]}"`], {
      env: { ...process.env, ...box.env },
      encoding: 'utf8',
    });
    expect(stdout).toBe('0\n');
  });
});

describe('JSON in a locale without UTF-8', () => {
  it('is the same JSON', () => {
    const plain = run(['recipe', 'list', '--json']).stdout;
    expect(run(['recipe', 'list', '--json'], POOR).stdout).toBe(plain);
  });
});
