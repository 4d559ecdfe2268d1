import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogReader } from '../../../src/deployment/log-reader.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
let reader: LogReader;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'log');
  reader = new LogReader(file);
});
afterEach(() => tmp[Symbol.dispose]());

it('begins with the newest lines and goes on after them, by whole lines', () => {
  writeFileSync(file, 'one\ntwo\nthree\n');
  expect(reader.begin(2)).toEqual(['two', 'three']);
  expect(reader.next()).toEqual([]);
  appendFileSync(file, 'fo');
  expect(reader.next()).toEqual([]);
  appendFileSync(file, 'ur\n\nsix\n');
  expect(reader.next()).toEqual(['four', '', 'six']);
});

it('waits for a file that is not there yet', () => {
  expect(reader.begin(5)).toEqual([]);
  expect(reader.next()).toEqual([]);
  writeFileSync(file, 'first\n');
  expect(reader.next()).toEqual(['first']);
});

it('puts a character together that was written in two halves', () => {
  writeFileSync(file, '');
  reader.begin(0);
  const [first, second] = [Buffer.from('ü\n').subarray(0, 1), Buffer.from('ü\n').subarray(1)];
  appendFileSync(file, first);
  expect(reader.next()).toEqual([]);
  appendFileSync(file, second);
  expect(reader.next()).toEqual(['ü']);
});

it('reads a file that was cut back from its start, without what was left of the old one', () => {
  writeFileSync(file, 'a long line before the rotation\nunfinished');
  reader.begin(0);
  appendFileSync(file, ' business');
  reader.next();
  truncateSync(file, 0);
  appendFileSync(file, 'new\n');
  expect(reader.next()).toEqual(['new']);
});

it('reads more than one chunk in several calls', () => {
  writeFileSync(file, '');
  reader.begin(0);
  appendFileSync(file, `${'x'.repeat(1_500_000)}\nend\n`);
  const lines = [...reader.next(), ...reader.next(), ...reader.next()];
  expect(lines.map((line) => line.length)).toEqual([1_500_000, 3]);
});
