import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemCode } from '../../../src/base/errors.ts';
import { ownIdentity } from '../../../src/supervise/identity.ts';
import { type FileLock, lockHolder, setFlockTool, tryLock } from '../../../src/supervise/locks.ts';
import { LineProcess } from '../../helpers/line-process.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

const fixture = path.join(import.meta.dirname, '../../fixtures/supervise/hold-lock.ts');
const NOBODY = 65_534;

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  chmodSync(tmp.dir, 0o1777); // like /run/lock
  file = path.join(tmp.dir, 'gpu-0.lock');
});
afterEach(() => {
  setFlockTool(undefined);
  tmp[Symbol.dispose]();
});

const holderProcess = (tool: 'flock' | 'identity', options: { uid?: number; gid?: number } = {}) =>
  new LineProcess([process.execPath, fixture, file, 'another process', tool], options);
const errorOf = (action: () => unknown) => {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('it did not throw');
};

describe.each(['flock', 'identity'] as const)('an exclusive lock by %s', (tool) => {
  beforeEach(() => setFlockTool(tool === 'flock'));

  it('is held against other processes until its holder is dead', async () => {
    await using other = holderProcess(tool);
    expect(await other.line()).toBe('held');
    expect(tryLock(file, { holder: 'me' })).toBeUndefined();
    expect(lockHolder(file)).toMatch(/^another process/);
    await other.kill();
    const mine = await waitFor('the lock to be free', () => tryLock(file, { holder: 'me' }));
    await using late = holderProcess(tool);
    expect(await late.line()).toBe('busy');
    mine.release();
    mine.release(); // again does no harm
    await using next = holderProcess(tool);
    expect(await next.line()).toBe('held');
  });

  it('leaves nothing but the lock file behind', () => {
    tryLock(file, { holder: 'me' })?.release();
    tryLock(file, { holder: 'me' })?.release();
    expect(readdirSync(tmp.dir).filter((name) => name !== 'gpu-0.lock')).toEqual([]);
  });

  it('says which file cannot be made', () => {
    const missing = path.join(tmp.dir, 'no', 'such', 'folder', 'lock');
    const error = errorOf(() => tryLock(missing, { holder: 'me' }));
    expect(systemCode(error)).toBe('ENOENT');
  });
});

describe('a kernel lock', () => {
  it('is held by whoever inherited the descriptor, and free when the last of them is gone', async () => {
    const lock = tryLock(file, { holder: 'me' }) as FileLock;
    const heir = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', lock.fd] });
    try {
      lock.release();
      expect(tryLock(file, { holder: 'other' })).toBeUndefined();
    } finally {
      heir.kill('SIGKILL');
      await once(heir, 'exit');
    }
    const again = tryLock(file, { holder: 'other' });
    expect(again).toBeDefined();
    again?.release();
  });

  it('refuses a symbolic link, a folder and a pipe with their names', async () => {
    const target = path.join(tmp.dir, 'victim');
    writeFileSync(target, 'precious');
    symlinkSync(target, file);
    expect(errorOf(() => tryLock(file, { holder: 'me', hostWide: true }))).toMatchObject({
      code: 'STATE_UNREADABLE',
      message: `${file} is a symbolic link: not followed`,
    });
    expect(statSync(target).size).toBe('precious'.length);
    const pipe = path.join(tmp.dir, 'pipe.lock');
    await once(spawn('mkfifo', [pipe]), 'exit');
    expect(errorOf(() => tryLock(pipe, { holder: 'me' }))).toMatchObject({ message: `${pipe} is not a plain file` });
  });

  it.skipIf(process.getuid?.() !== 0 || ![fixture, process.execPath].every(othersMayReach))(
    'is shared by users: each can take what another one made',
    async () => {
      await using theirs = holderProcess('flock', { uid: NOBODY, gid: NOBODY });
      expect(await theirs.line()).toBe('held');
      expect(statSync(file)).toMatchObject({ uid: NOBODY, mode: 0o100666 });
      expect(tryLock(file, { holder: 'root', hostWide: true })).toBeUndefined();
      await theirs.kill();
      const mine = await waitFor('the lock to be free', () => tryLock(file, { holder: 'root', hostWide: true }));
      expect(lockHolder(file)).toBe('root');
      await using refused = holderProcess('flock', { uid: NOBODY, gid: NOBODY });
      expect(await refused.line()).toBe('busy');
      mine.release();
      await using again = holderProcess('flock', { uid: NOBODY, gid: NOBODY });
      expect(await again.line()).toBe('held');
    },
  );
});

describe('an identity lock, where the tool is missing', () => {
  beforeEach(() => setFlockTool(false));

  it.each([
    ['of a pid that was given to another process', { ...ownIdentity('x'), startTime: '1' }],
    ['of another boot', { ...ownIdentity('x'), bootId: '00000000-0000-0000-0000-000000000000' }],
    ['that is not readable', 'garbage'],
  ])('takes over the file %s', (_, holder) => {
    writeFileSync(file, JSON.stringify(holder));
    const lock = tryLock(file, { holder: 'me' });
    expect(lockHolder(file)).toBe(`me (pid ${process.pid})`);
    lock?.release();
    expect(readdirSync(tmp.dir)).toEqual([]);
  });

  it("does not take over a live owner's, nor remove what another has taken over", () => {
    const lock = tryLock(file, { holder: 'me' })!;
    expect(tryLock(file, { holder: 'me too' })).toBeUndefined();
    writeFileSync(file, JSON.stringify({ ...ownIdentity('somebody'), pid: process.ppid, startTime: '77' }));
    lock.release();
    expect(readdirSync(tmp.dir)).toEqual(['gpu-0.lock']);
  });

  it('has one winner when several find a dead owner at once', async () => {
    writeFileSync(file, JSON.stringify({ ...ownIdentity('dead'), startTime: '1' }));
    const racers = Array.from({ length: 5 }, () => holderProcess('identity'));
    try {
      const results = await Promise.all(racers.map((racer) => racer.line()));
      expect(results.filter((result) => result === 'held')).toHaveLength(1);
    } finally {
      await Promise.all(racers.map((racer) => racer.kill()));
    }
  });
});

/** Whether another user can get to the file: not when the checkout lies in a private home. */
function othersMayReach(target: string): boolean {
  const folder = path.dirname(target);
  return (statSync(target).mode & 0o001) !== 0 || statSync(target).isFile()
    ? folder === target || othersMayReach(folder)
    : false;
}
