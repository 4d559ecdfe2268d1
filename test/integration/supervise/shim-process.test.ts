import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, isGone, parseIdentity, processesOfRun, readStat } from '../../../src/supervise/identity.ts';
import { tryLock } from '../../../src/supervise/locks.ts';
import { killRun, type ShimOptions, ShimProcess } from '../../../src/supervise/shim-process.ts';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { LineProcess } from '../../helpers/line-process.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

const agent = path.join(import.meta.dirname, '../../fixtures/supervise/start-shim.ts');

let tmp: ReturnType<typeof tmpDir>;
let runId: string;
let runDir: string;
let count = 0;
beforeEach(() => {
  tmp = tmpDir();
  runDir = path.join(tmp.dir, 'runs', '1');
  count += 1;
  runId = `shim-test-${process.pid}-${count}`;
});
afterEach(async () => {
  await killRun({ runId }, 5_000);
  tmp[Symbol.dispose]();
});

const inTmp = (name: string) => path.join(tmp.dir, name);
const logFile = () => inTmp('log');
const readLog = () => readFileSync(logFile(), 'utf8');
const prepare = (argv: readonly string[], overrides: Partial<ShimOptions> = {}) =>
  ShimProcess.prepare({
    runDir,
    runId,
    argv,
    env: { ...process.env, DYNAMO_RUN_ID: runId },
    cwd: null,
    logFile: logFile(),
    lockFds: [],
    ...overrides,
  });
const start = async (argv: readonly string[], overrides: Partial<ShimOptions> = {}) => {
  const shim = await prepare(argv, overrides);
  shim.launch();
  return shim;
};
const nothingLeft = () => waitFor('nothing of the run to be left', () => processesOfRun(runId).length === 0);

describe('before go', () => {
  it('the identity is on disk and the engine does not exist', async () => {
    const shim = await prepare(fixtureBin('exit-code.sh', '0'));
    expect(parseIdentity(JSON.parse(readFileSync(path.join(runDir, 'identity.json'), 'utf8')))).toEqual(shim.identity);
    expect(shim.alive).toBe(true);
    expect(shim.launched).toBe(false);
    expect(shim.enginePid).toBeNull();
    expect(processesOfRun(runId)).toEqual([shim.identity.pid]);
    // A session of its own: nothing the terminal does reaches it.
    expect(readStat(shim.identity.pid)?.group).toBe(shim.identity.pid);
    await shim.terminate(60_000);
    await nothingLeft();
    expect(readLog()).toBe('');
  });

  it('an agent that is killed leaves nothing running', async () => {
    await using dying = new LineProcess([
      process.execPath,
      agent,
      runDir,
      runId,
      logFile(),
      ...fixtureBin('forever.sh'),
    ]);
    expect(await dying.line()).toBe('prepared');
    const identity = parseIdentity(JSON.parse(readFileSync(path.join(runDir, 'identity.json'), 'utf8')))!;
    expect(isAlive(identity)).toBe(true);
    await dying.kill();
    await nothingLeft();
    expect(existsSync(path.join(runDir, 'launched'))).toBe(false);
    expect(ShimProcess.adopt(runDir, new AbortController().signal)).toBeUndefined();
    expect(ShimProcess.exitOf(runDir)).toBeUndefined();
  });
});

describe('after go', () => {
  it('the engine outlives its agent, is adopted, and its exit status is on disk', async () => {
    const leave = inTmp('leave');
    await using dying = new LineProcess([
      ...[process.execPath, agent, runDir, runId, logFile()],
      ...fixtureBin('exit-code.sh', '42', leave),
    ]);
    expect(await dying.line()).toBe('prepared');
    dying.child.stdin.write('go\n');
    const enginePid = await waitFor('the engine', () => parseIdentity(readJson(path.join(runDir, 'engine.json')))?.pid);
    await dying.kill();
    const adopted = ShimProcess.adopt(runDir, new AbortController().signal)!;
    expect(adopted).toMatchObject({ alive: true, launched: true, enginePid, runId });
    writeFileSync(leave, '');
    expect(await adopted.exited).toEqual({ code: 42, signal: null });
    expect(ShimProcess.exitOf(runDir)).toEqual({ code: 42, signal: null });
    expect(readLog()).toBe('leaving with 42\n');
    await nothingLeft();
  });

  it('arguments, folder and environment arrive as they were given', async () => {
    const report = inTmp('report.json');
    const folder = inTmp('a folder with "quotes"');
    mkdirSync(folder);
    const odd = ['two words', '', "it's", '"double"', '$HOME `id` \\n', 'a\nb', '--flag=ü', '*'];
    const shim = await start(fixtureBin('show-start.mjs', report, ...odd), {
      cwd: folder,
      env: { PATH: process.env['PATH'], DYNAMO_RUN_ID: runId, ODD: `it's "odd" $(id)\nsecond line` },
    });
    expect(await shim.exited).toEqual({ code: 0, signal: null });
    const seen = JSON.parse(readFileSync(report, 'utf8')) as {
      argv: string[];
      cwd: string;
      env: Record<string, string>;
    };
    expect(seen.argv).toEqual(odd);
    expect(seen.cwd).toBe(folder);
    const { PATH, PWD: _, ...rest } = seen.env; // the shell sets PWD
    expect(PATH).toBe(process.env['PATH']);
    expect(rest).toEqual({ DYNAMO_RUN_ID: runId, ODD: `it's "odd" $(id)\nsecond line` });
  });

  it('output of both streams is appended to the log, which only its owner can read', async () => {
    writeFileSync(logFile(), 'from before\n', { mode: 0o600 });
    await (await start(fixtureBin('print-lines.sh', '4'))).exited;
    expect(readLog()).toBe('from before\nline 1\nline 2\nline 3\nline 4\n');
    expect(statSync(logFile()).mode & 0o777).toBe(0o600);
  });

  it.each([
    [['sh', '-c', 'exit 0'], { code: 0, signal: null }],
    [['sh', '-c', 'exit 3'], { code: 3, signal: null }],
    [['sh', '-c', 'kill -SEGV $$'], { code: null, signal: 'SIGSEGV' }],
    [['sh', '-c', 'kill -KILL $$'], { code: null, signal: 'SIGKILL' }],
    [['/no/such/program'], { code: 127, signal: null }],
  ])('%j ends as %j', async (argv, exit) => {
    expect(await (await start(argv)).exited).toEqual(exit);
  });

  it('a lock is held as long as anything of the run lives', async () => {
    const lock = tryLock(inTmp('gpu.lock'), { holder: 'me' })!;
    const shim = await start(fixtureBin('forever.sh'), { lockFds: [lock.fd!] });
    lock.release();
    await waitFor('the engine', () => shim.enginePid);
    expect(tryLock(inTmp('gpu.lock'), { holder: 'other' })).toBeUndefined();
    await shim.terminate(10_000);
    const again = tryLock(inTmp('gpu.lock'), { holder: 'other' });
    expect(again).toBeDefined();
    again?.release();
  });
});

describe('the end', () => {
  it('sweeps a child that carries no run id any more, as when it has written its title over its environment', async () => {
    const shim = await start(['sh', '-c', `env -i sleep 1000 & echo $! > ${inTmp('pid')}; exec sleep 1000`]);
    const child = await waitFor(
      'the child',
      () => existsSync(inTmp('pid')) && Number(readFileSync(inTmp('pid'), 'utf8')),
    );
    await waitFor('it to have lost its environment', () => !processesOfRun(runId).includes(child));
    expect(processesOfRun(runId, shim.identity)).toContain(child);
    // Only the engine's main process: nobody tells the child.
    process.kill(shim.enginePid!, 'SIGKILL');
    expect(await shim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await waitFor('the child to be gone', () => [undefined, 'Z'].includes(readStat(child)?.state));
  });

  it('leaves the session of a process alone that got the pid of a shim that is gone', async () => {
    const shim = await start(['sleep', '1000']);
    const other = { ...shim.identity, startTime: '1', runId: 'another-run' };
    expect(processesOfRun('another-run', other)).toEqual([]);
    expect(processesOfRun('another-run', { ...shim.identity, runId: 'another-run' })).toEqual([]);
  });

  it('sweeps the group and a grandchild that has left its session', async () => {
    const shim = await start(fixtureBin('spawn-grandchild.sh', inTmp('pids')));
    const pids = await waitFor(
      'the grandchildren',
      () => existsSync(inTmp('pids')) && readFileSync(inTmp('pids'), 'utf8').trim().split(' ').map(Number),
    );
    const [child, stranger] = pids as [number, number];
    expect(readStat(child)?.group).toBe(shim.identity.pid);
    expect(readStat(stranger)?.group).not.toBe(shim.identity.pid);
    expect(await shim.terminate(10_000)).toEqual({ code: null, signal: 'SIGTERM' });
    expect([child, stranger].filter((pid) => readStat(pid) && readStat(pid)?.state !== 'Z')).toEqual([]);
    await nothingLeft();
  });

  it('also when the engine ends by itself', async () => {
    const shim = await start(['sh', '-c', `setsid sleep 600 & exit 5`]);
    expect(await shim.exited).toEqual({ code: 5, signal: null });
    await nothingLeft();
  });

  it('reaches those that are between two programs, whose environment nobody can read for that moment', async () => {
    const again = 'i=$1; [ "$i" -gt 0 ] || exec sleep 600; exec sh -c "$0" "$0" $((i - 1))';
    for (let round = 0; round < 40; round += 1) {
      const one = `${runId}-${round}`;
      const child = spawn('sh', ['-c', again, again, '100000'], {
        ...{ detached: true, stdio: 'ignore', env: { ...process.env, DYNAMO_RUN_ID: one } },
      });
      const exit = once(child, 'exit');
      try {
        await waitFor('it to run', () => processesOfRun(one).length > 0);
        expect(await killRun({ runId: one }, 60_000)).toEqual([]);
        expect(isGone(child.pid!)).toBe(true);
      } finally {
        child.kill('SIGKILL');
        await exit;
      }
    }
  });

  it('comes by SIGKILL at the deadline to what ignores SIGTERM', async () => {
    const shim = await start(fixtureBin('ignore-sigterm.sh', inTmp('deaf')));
    await waitFor('it to be deaf', () => existsSync(inTmp('deaf')));
    expect(await shim.terminate(100)).toEqual({ code: null, signal: 'SIGKILL' });
    await nothingLeft();
  });

  it('of the shim alone ends the engine too, and nobody knows its status', async () => {
    const shim = await start(fixtureBin('forever.sh'));
    await waitFor('the engine', () => shim.enginePid);
    process.kill(shim.identity.pid, 'SIGKILL');
    expect(await shim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await nothingLeft();
  });

  it('asked for twice at once is one end', async () => {
    const shim = await start(fixtureBin('forever.sh'));
    await waitFor('the engine', () => shim.enginePid);
    const [first, second] = await Promise.all([shim.terminate(10_000), shim.terminate(0)]);
    expect(first).toEqual(second);
    await nothingLeft();
  });
});

describe('a disk that is full', () => {
  const mayMount = spawnSync('unshare', ['--mount', 'true']).status === 0;

  it.skipIf(!mayMount)('no identity, nothing starts', async () => {
    const disk = inTmp('disk');
    mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]).status).toBe(0);
    try {
      spawnSync('sh', ['-c', `mkdir -p ${disk}/runs/1; cat /dev/zero > ${disk}/ballast`]);
      const failure = await prepare(fixtureBin('exit-code.sh', '0'), { runDir: path.join(disk, 'runs', '1') }).catch(
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ code: 'EXITED_EARLY', hint: expect.stringContaining('disk full') });
      await nothingLeft();
      expect(readLog()).not.toContain('leaving');
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  });
});

describe('a spawn that fails', () => {
  it('names the folder that is not there', async () => {
    await expect(prepare(['true'], { cwd: inTmp('missing') })).rejects.toMatchObject({
      code: 'EXITED_EARLY',
      message: `the process could not be started in ${inTmp('missing')}: ENOENT`,
    });
  });
});

function readJson(file: string): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
