import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainWriteError, readJsonFile, writeFileAtomic } from '../../../src/base/atomic-file.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'state.json');
});
afterEach(() => tmp[Symbol.dispose]());

describe('writeFileAtomic', () => {
  it('replaces the file and leaves nothing beside it', () => {
    writeFileAtomic(file, 'one');
    writeFileAtomic(file, 'zwei — drei', { durable: false });
    expect(readFileSync(file, 'utf8')).toBe('zwei — drei');
    expect(readdirSync(tmp.dir)).toEqual(['state.json']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('leaves the old file and nothing beside it when it cannot be replaced', () => {
    mkdirSync(path.join(file, 'inside'), { recursive: true }); // a folder that is not empty cannot be renamed over
    expect(() => writeFileAtomic(file, 'new')).toThrow();
    expect(readdirSync(tmp.dir)).toEqual(['state.json']);
    expect(existsSync(path.join(file, 'inside'))).toBe(true);
  });
});

describe('explainWriteError', () => {
  const system = (code: string) => Object.assign(new Error(code), { code });

  it.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EACCES', 'STATE_UNREADABLE'],
    ['EROFS', 'STATE_UNREADABLE'],
    ['EPERM', 'STATE_UNREADABLE'],
  ])('%s is %s', (code, expected) => {
    const cause = system(code);
    expect(explainWriteError(cause, '/a/file')).toMatchObject({ code: expected, cause, exitStatus: 4 });
  });

  it('passes everything else through', () => {
    const error = system('EIO');
    expect(explainWriteError(error, '/a/file')).toBe(error);
    expect(explainWriteError('text', '/a/file')).toBe('text');
  });
});

describe('readJsonFile', () => {
  it('reads what was written, and nothing where nothing is', () => {
    writeFileAtomic(file, '{"a":[1]}');
    expect(readJsonFile(file)).toEqual({ a: [1] });
    expect(readJsonFile(path.join(tmp.dir, 'none'))).toBeUndefined();
    expect(readJsonFile(path.join(file, 'below-a-file'))).toBeUndefined();
  });

  it.each(['', '{"a":', '\0\0\0'])('names a file that holds %j', (text) => {
    writeFileSync(file, text);
    expect(() => readJsonFile(file)).toThrow(`${file} is not valid JSON`);
  });

  it('names a folder', () => {
    chmodSync(tmp.dir, 0o700);
    expect(() => readJsonFile(tmp.dir)).toThrow(`cannot read ${tmp.dir}: EISDIR`);
  });
});
