import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogKeeper } from '../../../src/agent/log-keeper.ts';
import { indexFile, parseMarks } from '../../../src/supervise/log-index.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
let now: number;
let problems: string[];
const limits = { maxBytes: 1_000_000, keep: 2 };
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'decode-0.log');
  now = 1_000;
  problems = [];
});
afterEach(() => tmp[Symbol.dispose]());

const keeper = (): LogKeeper =>
  new LogKeeper({
    logs: () => [{ file, ...limits }],
    now: () => now,
    onProblem: (_, message) => problems.push(message),
  });
const marks = (of = file) => parseMarks(readFileSync(indexFile(of), 'utf8'));

it('notes when bytes arrived, and nothing while none do', () => {
  const kept = keeper();
  kept.look();
  expect(existsSync(indexFile(file))).toBe(false);
  writeFileSync(file, 'one\n');
  kept.look();
  now = 2_000;
  kept.look();
  appendFileSync(file, 'two\n');
  now = 9_000;
  kept.look();
  expect(marks()).toEqual([
    { bytes: 4, at: 1_000, from: null },
    { bytes: 8, at: 9_000, from: null },
  ]);
});

it('knows the bytes that were written while no agent lived as an interval', () => {
  writeFileSync(file, 'one\n');
  keeper().look();
  appendFileSync(file, 'two\n');
  now = 60_000;
  const successor = keeper();
  successor.look();
  appendFileSync(file, 'three\n');
  now = 90_000;
  successor.look();
  expect(marks()).toEqual([
    { bytes: 4, at: 1_000, from: null },
    { bytes: 8, at: 60_000, from: 1_000 },
    { bytes: 14, at: 90_000, from: null },
  ]);
});

it('rotates by copy and truncate, with the index, and keeps so many', () => {
  Object.assign(limits, { maxBytes: 10 });
  const kept = keeper();
  for (const letter of ['a', 'b', 'c', 'd']) {
    appendFileSync(file, `${letter.repeat(15)}\n`);
    now += 1_000;
    kept.look();
  }
  Object.assign(limits, { maxBytes: 1_000_000 });
  expect(readFileSync(file, 'utf8')).toBe('');
  expect(readFileSync(`${file}.1`, 'utf8')).toBe(`${'d'.repeat(15)}\n`);
  expect(readFileSync(`${file}.2`, 'utf8')).toBe(`${'c'.repeat(15)}\n`);
  expect(existsSync(`${file}.3`)).toBe(false);
  expect(marks(`${file}.1`)).toEqual([
    { bytes: 0, at: 4_000, from: null },
    { bytes: 16, at: 5_000, from: null },
  ]);
  expect(marks()).toEqual([{ bytes: 0, at: 5_000, from: null }]);
});

it('begins anew when somebody else truncates the log', () => {
  const kept = keeper();
  writeFileSync(file, 'a long line\n');
  kept.look();
  truncateSync(file);
  appendFileSync(file, 'short\n');
  now = 2_000;
  kept.look();
  expect(marks()).toEqual([{ bytes: 6, at: 2_000, from: null }]);
});

it('tells of a problem once, goes on, and does not throw', () => {
  mkdirSync(indexFile(file));
  const kept = keeper();
  for (const line of ['one\n', 'two\n', 'three\n']) {
    appendFileSync(file, line);
    kept.look();
  }
  expect(problems).toHaveLength(1);
  chmodSync(indexFile(file), 0o700);
});
