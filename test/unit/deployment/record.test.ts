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

it.each(['{"schemaVersion":2}', '{}', '[]', 'null', '7'])('%s is of another format', (text) => {
  writeFileSync(file, text);
  expect(() => readRecord(file)).toThrow(
    expect.objectContaining({ code: 'STATE_VERSION', message: expect.stringContaining(file) }),
  );
});

it('a damaged one is named', () => {
  writeFileSync(file, '{"schemaVersion":1,');
  expect(() => readRecord(file)).toThrow(expect.objectContaining({ code: 'STATE_UNREADABLE' }));
});
