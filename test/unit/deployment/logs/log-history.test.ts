import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalLogFiles } from '../../../../src/deployment/logs/log-files.ts';
import { LogHistory } from '../../../../src/deployment/logs/log-history.ts';
import { mergeLines } from '../../../../src/deployment/logs/merge-lines.ts';
import { tmpDir } from '../../../helpers/tmp-dir.ts';

let tmp: ReturnType<typeof tmpDir>;
let file: string;
beforeEach(() => {
  tmp = tmpDir();
  file = path.join(tmp.dir, 'decode-0.log');
});
afterEach(() => tmp[Symbol.dispose]());

const history = (follows = false, process = 'decode-0') =>
  new LogHistory(new LocalLogFiles(tmp.dir), process, { follows });
async function texts(lines: AsyncIterable<{ text: string }>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line.text);
  return found;
}
const tail = async (count: number) => (await history().tail(count)).map((line) => line.text);

describe('the log of one process', () => {
  it('is read with its rotated predecessors, oldest first', async () => {
    writeFileSync(`${file}.2`, 'one\n');
    writeFileSync(`${file}.1`, 'two\nthree\n');
    writeFileSync(file, 'four\n');
    writeFileSync(`${file}.1.idx`, '4 1000\n10 2000\n');
    expect(await texts(history().lines())).toEqual(['one', 'two', 'three', 'four']);
    expect(await tail(2)).toEqual(['three', 'four']);
    expect(await tail(99)).toEqual(['one', 'two', 'three', 'four']);
    expect(await tail(0)).toEqual([]);
  });

  it('shows times from its index, and none where nobody looked', async () => {
    writeFileSync(file, 'one\ntwo\nthree\n');
    writeFileSync(`${file}.idx`, '4 1000\n8 5000 1000\n');
    expect((await history().tail(3)).map((line) => line.arrival)).toEqual([
      { bytes: 4, at: 1_000, from: null },
      { bytes: 8, at: 5_000, from: 1_000 },
      null,
    ]);
    expect(await texts(history().lines(1_001))).toEqual(['two', 'three']);
    expect(await texts(history().lines(6_000))).toEqual(['three']);
  });

  it('takes the time that stands in a line of dynamo itself', async () => {
    writeFileSync(file, '{"level":"info","time":"1970-01-01T00:00:07.000Z","msg":"up"}\n');
    expect((await history().tail(1))[0]!.arrival).toEqual({ at: 7_000, from: null });
  });

  it('is empty when there is none', async () => {
    expect(await texts(history().lines())).toEqual([]);
    expect(await tail(5)).toEqual([]);
  });

  it('copes with half a line, empty lines, garbage and lines longer than a chunk', async () => {
    const long = 'x'.repeat(600_000);
    writeFileSync(
      file,
      Buffer.concat([Buffer.from(`\n${long}\n`), Buffer.from([0xff, 0x00, 0x0a]), Buffer.from('half')]),
    );
    const lines = await texts(history().lines());
    expect(lines).toEqual(['', long, '\uFFFD\u0000', 'half']);
    expect(await tail(2)).toEqual(['\uFFFD\u0000', 'half']);
    expect(await tail(3)).toEqual(lines.slice(1));
  });

  it('cuts a line that never ends', async () => {
    writeFileSync(file, 'y'.repeat(3_000_000));
    const lines = await texts(history().lines());
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.join('')).toHaveLength(3_000_000);
  });

  it('goes on by whole lines, over a rotation too', async () => {
    const followed = history(true);
    writeFileSync(file, 'one\ntw');
    expect((await followed.tail(5)).map((line) => line.text)).toEqual(['one']);
    const next = async () => (await followed.next()).map((line) => line.text);
    appendFileSync(file, 'o\n');
    expect(await next()).toEqual(['two']);
    expect(await next()).toEqual([]);
    appendFileSync(file, 'three\n');
    writeFileSync(`${file}.1`, 'one\ntwo\nthree\n');
    truncateSync(file);
    appendFileSync(file, 'four\n');
    expect(await next()).toEqual(['three', 'four']);
  });

  it('begins at the start of a log that shrank and was not rotated', async () => {
    const followed = history(true);
    writeFileSync(file, 'one\ntwo\n');
    await followed.tail(0);
    writeFileSync(file, 'new\n');
    expect((await followed.next()).map((line) => line.text)).toEqual(['new']);
    renameSync(file, `${file}.away`);
    expect(await followed.next()).toEqual([]);
  });
});

it('puts several logs in order of arrival; what has no time stays with the line before it', async () => {
  const line = (process: string, text: string, at: number | null, from: number | null = null) => ({
    process,
    text,
    arrival: at === null ? null : { at, from },
  });
  async function* give(...lines: ReturnType<typeof line>[]) {
    yield* lines;
  }
  const merged = mergeLines([
    give(line('a', '1', 10), line('a', '2', 40), line('a', '2b', null)),
    give(line('b', '3', 20), line('b', '4', 90, 30)),
    give(),
    give(line('c', '5', null), line('c', '6', 50)),
  ]);
  expect(await texts(merged)).toEqual(['5', '1', '3', '4', '2', '2b', '6']);
});
