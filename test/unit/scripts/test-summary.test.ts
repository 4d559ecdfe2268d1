import { describe, expect, it } from 'vitest';
// @ts-expect-error a plain script without types
import { summarise as untyped } from '../../../scripts/test-summary.mjs';

const summarise = untyped as (journal: string, end: object, options?: object) => { lines: string[]; failed: number };

const file = 'test/unit/a.test.ts';
const result = (name: string, state: string, more: object = {}) => ({
  ...{ at: 'result', file, name, state, durationMs: 1, messages: [] },
  ...more,
});
const text = (...lines: object[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');
const ended = (tests: object[], unhandled: string[] = []) => ({ at: 'end', tests, unhandled });

describe('the summary of a test run', () => {
  it('is one line where all is well', () => {
    const all = [result('one', 'passed'), result('two', 'passed')];
    expect(summarise(text(...all, ended(all)), { status: 0 })).toEqual({
      lines: ['2 passed, 0 failed, 0 skipped'],
      failed: 0,
    });
  });

  it('repeats what failed right above its last line, after slow and skipped tests', () => {
    const all = [
      result('is wrong', 'failed', {
        messages: ['\u001b[31mexpected 1 to be 2\u001b[39m\nat a.test.ts:4'],
        durationMs: 6_000,
      }),
      result('waits', 'skipped'),
    ];
    const { lines, failed } = summarise(text(ended(all)), { status: 1 });
    expect(lines).toEqual([
      ...['', 'Slow tests:', `  6.0 s  ${file}  is wrong`, `skipped: ${file}  waits`],
      ...['', 'Failed:', `  ${file}  is wrong`, '    expected 1 to be 2', '    at a.test.ts:4'],
      '0 passed, 1 failed, 1 skipped',
    ]);
    expect(failed).toBe(1);
  });

  it('counts skipped tests as failures where that is asked for', () => {
    const { lines, failed } = summarise(
      text(ended([result('waits', 'skipped')])),
      { status: 0 },
      { skippedFails: true },
    );
    expect(lines.at(-1)).toBe('0 passed, 1 failed, 1 skipped');
    expect(failed).toBe(1);
  });

  it('names hooks, files that do not load, and errors outside any test', () => {
    const { lines, failed } = summarise(
      text(
        { at: 'errors', file, name: 'a group', messages: ['its hook failed'] },
        { at: 'errors', file, name: '', messages: ['no such module'] },
        ended([result('one', 'passed')], ['nobody caught it']),
      ),
      { status: 1 },
    );
    expect(lines.slice(2)).toEqual([
      ...[`  ${file}  a group`, '    its hook failed', `  ${file}`, '    no such module'],
      ...['  outside any test', '    nobody caught it', '1 passed, 3 failed, 0 skipped'],
    ]);
    expect(failed).toBe(3);
  });

  it('says what was under way when the run was ended, though its last line is cut', () => {
    const journal = text({ at: 'file', file }, { at: 'test', file, name: 'well' }, result('well', 'passed'), {
      at: 'test',
      file,
      name: 'hangs',
    });
    const { lines } = summarise(`${journal}{"at":"res`, { status: 1, signal: 'SIGTERM' });
    expect(lines.slice(2)).toEqual([
      ...[`  ${file}  hangs`, '    was under way when the run ended by SIGTERM', '1 passed, 1 failed, 0 skipped'],
    ]);
  });

  it.each([
    ['a file that was being loaded', text({ at: 'file', file }), file],
    ['nothing', '', 'the run'],
  ])('fails where the run ended without its report, with %s', (_, journal, what) => {
    const { lines, failed } = summarise(journal, { status: 0 });
    expect(lines).toContain(`  ${what}`);
    expect(failed).toBe(1);
  });

  it('fails with the run, though no test did', () => {
    const { lines } = summarise(text(ended([result('one', 'passed')])), { status: 3 });
    expect(lines.slice(2)).toEqual([
      ...['  the run', '    ended with exit status 3; see above', '1 passed, 1 failed, 0 skipped'],
    ]);
  });

  it('cuts what is long: messages, lines, and the list', () => {
    const messages = [`${'line\n'.repeat(50)}${'z'.repeat(500)}`];
    const all = Array.from({ length: 30 }, (_, index) => result(`test ${index}`, 'failed', { messages }));
    const { lines, failed } = summarise(text(ended(all)), { status: 1 });
    expect(failed).toBe(30);
    expect(lines.length).toBeLessThan(20 * 14);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(260);
    expect(lines.slice(-2)).toEqual(['  and 10 more', '0 passed, 30 failed, 0 skipped']);
  });
});
