import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readRecord, writeRecord } from '../../../src/deployment/record.ts';
import { makeRecord } from '../../helpers/snapshots.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'deployment.json');
});
afterEach(() => tmp[Symbol.dispose]());

it('is read as it was written; nothing is there before', () => {
  expect(readRecord(file)).toBeUndefined();
  const record = makeRecord();
  expect(writeRecord(file, record)).toEqual(record);
  expect(readRecord(file)).toEqual(record);
});

it.each([
  [2, 'a newer version of dynamo (format 2, not 1)'],
  [0, 'an older version of dynamo (format 0, not 1)'],
])('format %d is of another version', (schemaVersion, words) => {
  writeFileSync(file, JSON.stringify({ schemaVersion }));
  expect(() => readRecord(file)).toThrow(
    expect.objectContaining({ code: 'STATE_VERSION', message: `${file} was written by ${words}` }),
  );
});

it.each(['{}', '[]', 'null', '7', ''])('%j is none, and it is said what to do', (text) => {
  writeFileSync(file, text);
  expect(() => readRecord(file)).toThrow(
    expect.objectContaining({
      code: 'STATE_UNREADABLE',
      message: expect.stringContaining(file),
      hint: expect.stringContaining(`remove ${path.dirname(file)}`),
    }),
  );
});

it('a damaged one is named', () => {
  writeFileSync(file, '{"schemaVersion":1,');
  expect(() => readRecord(file)).toThrow(expect.objectContaining({ code: 'STATE_UNREADABLE' }));
});
