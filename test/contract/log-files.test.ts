import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalLogFiles, type LogFiles } from '../../src/deployment/logs/log-files.ts';
import { LogHistory } from '../../src/deployment/logs/log-history.ts';
import { RemoteLogFiles } from '../../src/deployment/logs/remote-log-files.ts';
import { LocalTransport } from '../../src/hosts/local-transport.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

const adapters: [string, (folder: string) => LogFiles][] = [
  ['of this machine', (folder) => new LocalLogFiles(folder)],
  ['through a transport', (folder) => new RemoteLogFiles(new LocalTransport('other'), folder)],
];

describe.each(adapters)('log files %s', (_, open) => {
  let tmp: ReturnType<typeof tmpDir>;
  let folder: string;
  beforeEach(() => {
    tmp = tmpDir();
    folder = path.join(tmp.dir, 'with a blank & more');
  });
  afterEach(() => tmp[Symbol.dispose]());

  it('are none where there is no folder', async () => {
    const files = open(folder);
    expect(await files.list()).toEqual([]);
    expect(await files.size('a.log')).toBe(0);
    expect(await files.read('a.log', 0, 10)).toHaveLength(0);
    expect(await files.marks('a.log')).toEqual([]);
  });

  it('are read from any byte, whatever they hold', async () => {
    mkdirSync(folder);
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_entry, index) => index % 256));
    writeFileSync(path.join(folder, 'a.log'), bytes);
    writeFileSync(path.join(folder, 'a.log.idx'), '100 1000\n70000 2000\n');
    writeFileSync(path.join(folder, 'empty.log'), '');
    const files = open(folder);
    expect((await files.list()).sort()).toEqual(['a.log', 'a.log.idx', 'empty.log']);
    expect(await files.size('a.log')).toBe(70_000);
    expect((await files.read('a.log', 0, 1_000_000)).equals(bytes)).toBe(true);
    expect((await files.read('a.log', 9, 3)).equals(bytes.subarray(9, 12))).toBe(true);
    expect(await files.read('a.log', 70_000, 5)).toHaveLength(0);
    expect(await files.read('empty.log', 0, 5)).toHaveLength(0);
    expect((await files.marks('a.log')).map((mark) => mark.at)).toEqual([1_000, 2_000]);
  });

  it('are followed', async () => {
    mkdirSync(folder);
    const file = path.join(folder, 'a.log');
    writeFileSync(file, 'one\n');
    const history = new LogHistory(open(folder), 'a', { follows: true });
    expect((await history.tail(5)).map((line) => line.text)).toEqual(['one']);
    appendFileSync(file, 'two\nthr');
    const more = await waitFor('the next line', async () => {
      const lines = await history.next();
      return lines.length > 0 ? lines : undefined;
    });
    expect(more.map((line) => line.text)).toEqual(['two']);
  });
});
