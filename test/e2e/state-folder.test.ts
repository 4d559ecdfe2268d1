import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/commands/registry.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { type CliResult, runCli } from '../helpers/run-cli.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

/** Commands that look at a deployment by its name. */
const READERS = ['status', 'logs', 'events', 'open', 'stop', 'drain', 'restart', 'chat'].filter((name) =>
  COMMANDS.some((entry) => entry.name === name),
);
const argsOf = (command: string, name: string): string[] => {
  if (command === 'drain' || command === 'restart') return [command, 'prefill-0', '--deployment', name];
  return command === 'chat' ? [command, name, 'Hello'] : [command, name];
};

/** A state folder with a deployment that was stopped, to be broken in many ways. */
let original: string;
const tmp = tmpDir();
beforeAll(async () => {
  await using box = new Sandbox();
  const served = await box.run('serve', 'mocker-aggregated', '--detach');
  if (served.code !== 0) throw new Error(served.stderr);
  const stopped = await box.run('stop');
  if (stopped.code !== 0) throw new Error(stopped.stderr);
  original = path.join(tmp.dir, 'original');
  cpSync(path.join(box.home, 'deployments', 'mocker-aggregated'), original, { recursive: true });
});
afterAll(() => tmp[Symbol.dispose]());

/** A copy called `mine` with its record changed, and the commands over it. */
function broken(change: (text: string, file: string) => string | undefined) {
  const place = tmpDir();
  const dir = path.join(place.dir, 'deployments', 'mine');
  cpSync(original, dir, { recursive: true });
  const record = path.join(dir, 'deployment.json');
  const text = change(readFileSync(record, 'utf8'), record);
  if (text !== undefined) writeFileSync(record, text);
  const run = (...args: string[]): Promise<CliResult> => runCli(args, { DYNAMO_HOME: place.dir });
  return { ...place, record, run };
}

const edit = (change: object) => (text: string) => JSON.stringify({ ...(JSON.parse(text) as object), ...change });
const CASES: [
  what: string,
  change: (text: string, file: string) => string | undefined,
  message: RegExp,
  hint: RegExp,
][] = [
  ['half written', (text) => text.slice(0, text.length / 2), /deployment\.json is damaged/, /remove .*mine/],
  ['empty', () => '', /deployment\.json is damaged/, /remove .*mine/],
  ['no record at all', () => '[1, 2]', /deployment\.json is damaged/, /remove .*mine/],
  [
    'from a newer version',
    edit({ schemaVersion: 99 }),
    /a newer version of dynamo \(format 99, not 1\)/,
    /Use the dynamo version/,
  ],
  [
    'from an older version',
    edit({ schemaVersion: 0 }),
    /an older version of dynamo \(format 0/,
    /Use the dynamo version/,
  ],
  [
    'a folder in its place',
    (_, file) => {
      rmSync(file);
      mkdirSync(file);
      return undefined;
    },
    /cannot read .*deployment\.json: EISDIR/,
    /permissions/,
  ],
];

describe.each(CASES)('a record that is %s', (_, change, message, hint) => {
  it.each(READERS)('%s says so, and what to do', async (command) => {
    using place = broken(change);
    const { code, stderr } = await place.run(...argsOf(command, 'mine'));
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(hint);
    expect(stderr).not.toContain('bug in dynamo');
    expect(code).toBe(4);
  });

  it('does not keep ls from listing the others', async () => {
    using place = broken(change);
    cpSync(original, path.join(place.dir, 'deployments', 'other'), { recursive: true });
    const other = path.join(place.dir, 'deployments', 'other', 'deployment.json');
    writeFileSync(other, edit({ name: 'other' })(readFileSync(other, 'utf8')));
    const { code, stdout, stderr } = await place.run('ls', '--all');
    expect(stdout).toMatch(/^other +stopped/m);
    expect(stderr).toMatch(/^mine: /m);
    expect(code).toBe(0);
  });
});

describe('a state folder', () => {
  it('that is a file is named by every command', async () => {
    using place = tmpDir();
    const home = path.join(place.dir, 'file');
    writeFileSync(home, '');
    for (const args of [['ls'], ['status'], ['stop', 'x'], ['serve', 'quickstart', '--detach']]) {
      const { code, stderr } = await runCli(args, { DYNAMO_HOME: home });
      expect(stderr, args[0]).toMatch(/error: .*(file|no deployment)/);
      expect(stderr, args[0]).not.toContain('bug in dynamo');
      expect([4, 7], args[0]).toContain(code);
    }
  });

  it('holds a running deployment: a damaged record neither stops it nor keeps it from being stopped', async () => {
    await using box = new Sandbox();
    expect((await box.run('serve', 'mocker-aggregated', '--detach')).code).toBe(0);
    writeFileSync(path.join(box.deploymentDir('mocker-aggregated'), 'deployment.json'), '{"schemaVer');
    expect((await box.run('status', 'mocker-aggregated')).stdout).toContain('mocker-aggregated: ready');
    const stopped = await box.run('stop', 'mocker-aggregated');
    expect(stopped.stderr).toBe('');
    expect(stopped.stdout).toContain('is stopped; nothing is left');
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});

/** Not even root writes to a disk that is mounted read-only. */
const canMount = (() => {
  using place = tmpDir();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place.dir], { stdio: 'ignore' });
    execFileSync('umount', [place.dir]);
    return true;
  } catch {
    console.warn('read-only tests are skipped: mounting a tmpfs is not permitted here');
    return false;
  }
})();

describe.skipIf(!canMount)('a state folder on a read-only disk', () => {
  const disk = path.join(tmp.dir, 'disk');
  const run = (...args: string[]) => runCli(args, { DYNAMO_HOME: disk });
  beforeAll(() => {
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    const dir = path.join(disk, 'deployments', 'mine');
    cpSync(original, dir, { recursive: true });
    const record = path.join(dir, 'deployment.json');
    writeFileSync(record, edit({ name: 'mine', phase: 'committed' })(readFileSync(record, 'utf8')));
    execFileSync('mount', ['-o', 'remount,ro', disk]);
  });
  afterAll(() => {
    execFileSync('umount', ['-l', disk]);
  });

  it.each([[['status', 'mine']], [['ls']], [['logs', 'mine']], [['open', 'mine']], [['status']]])(
    '%j reads',
    async (args) => {
      const { code, stdout, stderr } = await run(...args);
      expect(stderr).not.toContain('error');
      expect(stdout).not.toBe('');
      expect(code).toBe(0);
    },
  );

  it.each([[['stop', 'mine']], [['serve', 'mocker-aggregated', '--detach']], [['smoke', 'mocker-aggregated']]])(
    '%j says that it cannot write, and where',
    async (args) => {
      const { code, stderr } = await run(...args);
      expect(stderr).toMatch(/error: cannot write .*disk.*EROFS/);
      expect(stderr).toContain('hint: Check the permissions of the state folder (DYNAMO_HOME)');
      expect(stderr).not.toContain('bug in dynamo');
      expect(code).toBe(4);
    },
  );
});
