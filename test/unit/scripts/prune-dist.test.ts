import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
// @ts-expect-error a plain script without types
import { pruneDist as untyped } from '../../../scripts/prune-dist.mjs';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const pruneDist = untyped as (
  dist: string,
  current: Set<string>,
  previousMs: number,
  given?: { nowMs?: number; startTimes?: number[] | undefined },
) => number;

const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;
const days = (count: number) => NOW_MS - count * DAY_MS;

describe('what old builds left in dist/', () => {
  let tmp: ReturnType<typeof tmpDir>;
  const prune = (previousMs: number, startTimes: number[] | undefined) =>
    pruneDist(tmp.dir, new Set(['cli.js', 'same.js']), previousMs, { nowMs: NOW_MS, startTimes });
  const left = () => readdirSync(tmp.dir).toSorted();
  const age = {
    'cli.js': 0,
    'same.js': 30,
    'old.js': 30,
    'old.js.map': 30,
    commit: 30,
    'previous.js': 9,
    'recent.js': 2,
  };

  beforeEach(() => {
    tmp = tmpDir();
    for (const [name, count] of Object.entries(age)) {
      writeFileSync(path.join(tmp.dir, name), '');
      utimesSync(path.join(tmp.dir, name), days(count) / 1_000, days(count) / 1_000);
    }
  });
  afterEach(() => tmp[Symbol.dispose]());

  it('goes after a week, but for what the newest build and the one before have', () => {
    expect(prune(days(9.01), [])).toBe(2);
    expect(left()).toEqual(['cli.js', 'commit', 'previous.js', 'recent.js', 'same.js']);
  });

  it('stays for a week, however many builds there have been since', () => {
    prune(days(1), []);
    expect(left()).toEqual(['cli.js', 'commit', 'recent.js', 'same.js']);
  });

  it('goes while processes run that were started with the previous build', () => {
    expect(prune(days(1), [days(0.5)])).toBe(3);
  });

  it.each([
    ['a process runs that was started before the previous build', days(1), [days(0.5), days(20)]],
    ['one was started about when that began', days(1), [days(1) + 1_000]],
    ['the previous build is not known', Number.NaN, []],
  ])('stays while %s', (_, previousMs, startTimes) => {
    expect(prune(previousMs, startTimes)).toBe(0);
    expect(left()).toEqual(Object.keys(age).toSorted());
  });

  it('is asked of the processes of this machine: a fresh folder has none', () => {
    expect(pruneDist(tmp.dir, new Set(['cli.js', 'same.js']), days(1), { nowMs: NOW_MS })).toBe(3);
  });

  it('stays while a process of this machine runs an older build', async () => {
    const program = path.join(tmp.dir, 'cli.js');
    writeFileSync(program, 'setInterval(() => {}, 1_000);');
    const child = spawn(process.execPath, [program], { stdio: 'ignore' });
    const exit = once(child, 'exit');
    try {
      // The previous build is then later than that process, and a week old all the same.
      const previousMs = Date.now() + DAY_MS;
      const nowMs = previousMs + 30 * DAY_MS;
      expect(pruneDist(tmp.dir, new Set(['cli.js']), previousMs, { nowMs })).toBe(0);
      child.kill('SIGKILL');
      await exit;
      for (const name of left()) utimesSync(path.join(tmp.dir, name), 1, 1);
      expect(pruneDist(tmp.dir, new Set(['cli.js']), previousMs, { nowMs })).toBe(5);
    } finally {
      child.kill('SIGKILL');
      await exit;
    }
  });
});
