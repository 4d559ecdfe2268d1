import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSize, lastLines } from '../../../src/supervise/log-tail.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'log');
});
afterEach(() => tmp[Symbol.dispose]());

describe('lastLines', () => {
  it('are none of a file that is missing or empty', () => {
    expect(lastLines(file, 3)).toEqual([]);
    expect(fileSize(file)).toBe(0);
    writeFileSync(file, '');
    expect(lastLines(file, 3)).toEqual([]);
  });

  it('are the newest, with blank ones and one that is not finished', () => {
    writeFileSync(file, 'one\n\nthree\nfour');
    expect(lastLines(file, 3)).toEqual(['', 'three', 'four']);
    expect(lastLines(file, 99)).toEqual(['one', '', 'three', 'four']);
    expect(fileSize(file)).toBe(15);
  });

  it('begin at an offset, or anew when the file has shrunk since', () => {
    writeFileSync(file, 'old\nnew\n');
    expect(lastLines(file, 9, 4)).toEqual(['new']);
    expect(lastLines(file, 9, 8)).toEqual([]);
    expect(lastLines(file, 9, 500)).toEqual(['old', 'new']);
  });

  it('come from the end of a file of any size', () => {
    writeFileSync(file, `${'x'.repeat(200_000)}\nlast ü\n`);
    expect(lastLines(file, 1)).toEqual(['last ü']);
    expect(lastLines(file, 9).join('').length).toBeLessThanOrEqual(32 * 1024);
  });
});
