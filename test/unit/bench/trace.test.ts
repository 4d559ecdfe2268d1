import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { parseTrace, readTrace } from '../../../src/bench/trace.ts';

const options = { blockSize: 512 };
const row = (fields: object): string =>
  JSON.stringify({ timestamp: 0, input_length: 600, output_length: 5, hash_ids: [0, 1], ...fields });

function problemsOf(lines: string[]): readonly string[] {
  try {
    parseTrace(lines, 't.jsonl', options);
  } catch (error) {
    if (error instanceof DynamoError && error.code === 'TRACE_INVALID') return error.details;
    throw error;
  }
  return [];
}

describe('parseTrace', () => {
  it('reads rows, sorts them by time, skips blank lines', () => {
    const { rows } = parseTrace([row({ timestamp: 9 }), '', row({ timestamp: 3 }), '  '], 't.jsonl', options);
    expect(rows.map((entry) => entry.timestampMs)).toEqual([3, 9]);
    expect(rows[0]).toEqual({ timestampMs: 3, inputLength: 600, outputLength: 5, hashIds: [0, 1] });
  });

  it('takes rows without times or hash ids', () => {
    const { rows } = parseTrace(['{"input_length":3,"output_length":2}'], 't.jsonl', options);
    expect(rows).toEqual([{ timestampMs: null, inputLength: 3, outputLength: 2, hashIds: [] }]);
  });

  it('names every bad row by line, all at once', () => {
    const problems = problemsOf([
      row({}),
      'no json',
      '[1]',
      row({ timestamp: -1 }),
      row({ timestamp: 'x' }),
      row({ input_length: 0 }),
      row({ input_length: 1.5 }),
      row({ output_length: undefined }),
      row({ hash_ids: 'a' }),
      row({ hash_ids: [0, -1] }),
      row({ hash_ids: [0] }),
      row({ hash_ids: [0, 1, 2] }),
      row({ text_input: 'a', input_length: null }),
    ]);
    expect(problems.map((text) => Number(text.split(':')[1]))).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(problems[0]).toBe('t.jsonl:2: not valid JSON');
    expect(problems[9]).toContain('600 tokens are 2 blocks of 512, but hash_ids has 1');
  });

  it('cuts a long list of problems short', () => {
    const problems = problemsOf(Array.from({ length: 30 }, () => '{}'));
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe('and 10 more');
  });

  it('refuses an empty file and half a schedule', () => {
    expect(problemsOf([''])).toEqual(['t.jsonl: no rows']);
    expect(problemsOf([row({}), row({ timestamp: undefined })])[0]).toContain('1 rows have no timestamp');
  });

  it('cuts lengths and the hash ids with them, and counts what it cut', () => {
    const lines = [row({ input_length: 1_200, hash_ids: [0, 1, 2], output_length: 50 }), row({})];
    const trace = parseTrace(lines, 't.jsonl', { ...options, maxIsl: 512, maxOsl: 5 });
    expect(trace).toMatchObject({ cutInputs: 2, cutOutputs: 1 });
    expect(trace.rows[0]).toMatchObject({ inputLength: 512, outputLength: 5, hashIds: [0] });
  });
});

describe('readTrace', () => {
  it('stops after maxRows and never sees what follows', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-trace-'));
    const file = path.join(folder, 'trace.jsonl');
    writeFileSync(file, `${row({})}\n\n${row({ timestamp: 2 })}\nbroken\n`);
    expect((await readTrace(file, { ...options, maxRows: 2 })).rows).toHaveLength(2);
    await expect(readTrace(file, options)).rejects.toMatchObject({ code: 'TRACE_INVALID' });
    rmSync(folder, { recursive: true });
  });

  it('says which file cannot be read', async () => {
    await expect(readTrace('/nonexistent/t.jsonl', options)).rejects.toThrow(/cannot read \/nonexistent\/t\.jsonl/);
  });
});
