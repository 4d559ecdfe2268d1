import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  isAlive,
  ownIdentity,
  ownWorld,
  type ProcessIdentity,
  parseIdentity,
  processesOfRun,
  readStat,
  signalGroup,
  signalProcess,
} from '../../../src/supervise/identity.ts';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { waitFor } from '../../helpers/until.ts';

const children: number[] = [];
afterEach(() => {
  for (const pid of children.splice(0)) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // its group is empty
    }
  }
});

function start(argv: readonly string[], runId = 'test-run') {
  const child = spawn(argv[0]!, argv.slice(1), {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, DYNAMO_RUN_ID: runId },
  });
  children.push(child.pid!);
  const identity: ProcessIdentity = {
    ...ownWorld(),
    pid: child.pid!,
    startTime: readStat(child.pid!)!.startTime,
    runId,
  };
  return { child, identity };
}

describe('identity', () => {
  it('is that process and no other: a reused pid, another boot, another namespace are dead', () => {
    const { identity } = start(['sleep', '600']);
    expect(isAlive(identity)).toBe(true);
    const forged = [
      { ...identity, startTime: String(Number(identity.startTime) + 1) },
      { ...identity, bootId: '00000000-0000-0000-0000-000000000000' },
      { ...identity, pidNamespace: 'pid:[1]' },
    ];
    for (const other of forged) {
      expect(isAlive(other)).toBe(false);
      expect(signalProcess(other, 'SIGKILL')).toBe(false);
      expect(signalGroup({ ...other, runId: 'nobody' }, 'SIGKILL')).toBe(false);
    }
    expect(isAlive(identity)).toBe(true);
  });

  it('counts a zombie as dead', async () => {
    // The shell replaces itself by a program that never waits for its child.
    const { child } = start(['sh', '-c', 'true & exec sleep 600'], 'zombie-run');
    child.unref();
    const zombie = await waitFor('a zombie', () => zombieChildOf(child.pid!));
    const identity = { ...ownWorld(), pid: zombie.pid, startTime: zombie.startTime, runId: 'zombie-run' };
    expect(isAlive(identity)).toBe(false);
    expect(signalProcess(identity, 'SIGTERM')).toBe(false);
    // The shell may be on its way to its next program still: nobody can read its environment for that moment.
    await waitFor('the program to be there', () => readComm(child.pid!) === 'sleep');
    expect(processesOfRun('zombie-run')).toEqual([child.pid]);
  });

  it('signals the group of a leader that is gone by its members, found by their run id', async () => {
    const { child, identity } = start(['sh', '-c', 'sleep 600 & exec sleep 600'], 'group-run');
    const member = await waitFor('two members', () => {
      const pids = processesOfRun('group-run');
      return (
        pids.length === 2 && pids.every((pid) => readComm(pid) === 'sleep') && pids.find((pid) => pid !== child.pid)
      );
    });
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    expect(isAlive(identity)).toBe(false);
    expect(readStat(member)?.group).toBe(identity.pid);
    expect(signalGroup(identity, 'SIGTERM')).toBe(true);
    await waitFor('the member to be gone', () => processesOfRun('group-run').length === 0);
    expect(signalGroup(identity, 'SIGTERM')).toBe(false);
  });

  it('reads the start time behind a command name with blanks and brackets', async () => {
    const { child } = start([process.execPath, '-e', 'process.title = "a) (b R 1"; setInterval(() => {}, 1e6)']);
    const before = readStat(child.pid!)!;
    await waitFor('the name to change', () => readComm(child.pid!) === 'a) (b R 1');
    expect(readStat(child.pid!)).toMatchObject({ parent: process.pid, group: child.pid, startTime: before.startTime });
  });

  it('is gone for a pid that is not there, and is read back only when whole', () => {
    expect(readStat(2 ** 22 + 1)).toBeUndefined();
    const own = ownIdentity('me');
    expect(parseIdentity(JSON.parse(JSON.stringify(own)))).toEqual(own);
    expect(isAlive(own)).toBe(true);
    for (const broken of [
      null,
      7,
      {},
      { ...own, pid: 1 },
      { ...own, pid: 0 },
      { ...own, pid: '7' },
      { ...own, startTime: 7 },
    ])
      expect(parseIdentity(broken)).toBeUndefined();
  });

  it('leaves alone what ignores it', async () => {
    const { identity, child } = start(fixtureBin('ignore-sigterm.sh'), 'deaf-run');
    await waitFor('the shell to have started its sleep', () => processesOfRun('deaf-run').length === 2);
    expect(signalProcess(identity, 'SIGTERM')).toBe(true);
    expect(isAlive(identity)).toBe(true);
    const exit = once(child, 'exit');
    expect(signalGroup(identity, 'SIGKILL')).toBe(true);
    expect(await exit).toEqual([null, 'SIGKILL']);
  });
});

function readComm(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
}

function zombieChildOf(parent: number): { pid: number; startTime: string } | undefined {
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : undefined;
    if (stat?.parent === parent && stat.state === 'Z') return { pid: Number(entry), startTime: stat.startTime };
  }
  return undefined;
}
