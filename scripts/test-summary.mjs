// What the journal of a test run comes to: see test-journal.mjs.
import { stripVTControlCharacters } from 'node:util';

const SLOW_MS = 5_000;
const MOST_SLOW = 25;
const MOST_FAILURES = 20;
const LINES_EACH = 12;
const LETTERS_A_LINE = 240;

/**
 * Lines to print, the last of them `N passed, N failed, N skipped`, and how many failed. The failures come right above the last
 * line: a log may be cut to its end. `end` says how the run ended: its exit status, or the signal that was sent to it.
 */
export function summarise(journal, end, { skippedFails = false } = {}) {
  const run = read(journal);
  const lines = [...slowTests(run.tests)];
  const skipped = run.tests.filter(({ state }) => state === 'skipped');
  for (const test of skipped) lines.push(`skipped: ${title(test)}`);
  const failures = [
    ...run.tests.filter(({ state }) => state === 'failed'),
    ...run.errors,
    ...run.unhandled.map((message) => ({ file: 'outside any test', name: '', messages: [message] })),
    ...unfinished(run, end),
  ];
  // Something is wrong that no reporter was told of.
  if (failures.length === 0 && end.status !== 0)
    failures.push({ file: 'the run', name: '', messages: [`ended with exit status ${end.status}; see above`] });
  if (failures.length > 0) lines.push('', 'Failed:', ...failures.slice(0, MOST_FAILURES).flatMap(failureLines));
  if (failures.length > MOST_FAILURES) lines.push(`  and ${failures.length - MOST_FAILURES} more`);
  let failed = failures.length;
  if (skippedFails && skipped.length > 0) {
    lines.push('Under CI every test must run: a skipped one counts as a failure.');
    failed += skipped.length;
  }
  const passed = run.tests.filter(({ state }) => state === 'passed').length;
  lines.push(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  return { lines, failed };
}

const title = ({ file, name }) => (name ? `${file}  ${name}` : file);

/** Tests with their results, errors of hooks and files, and what was under way last. */
function read(journal) {
  const run = { tests: [], errors: [], unhandled: [], open: new Map(), files: new Set(), ended: false };
  for (const text of journal.split('\n')) {
    const line = parse(text);
    if (line?.at === 'file') run.files.add(line.file);
    else if (line?.at === 'file-end') run.files.delete(line.file);
    else if (line?.at === 'test') run.open.set(title(line), line);
    else if (line?.at === 'errors') run.errors.push(line);
    else if (line?.at === 'result') {
      run.open.delete(title(line));
      run.tests.push(line);
    } else if (line?.at === 'end') Object.assign(run, { tests: line.tests, unhandled: line.unhandled, ended: true });
  }
  return run;
}

/** The last line of a process that was killed may have been cut. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What had not ended when the run did. */
function unfinished({ open, files, tests, ended }, { status, signal }) {
  const how = signal ? `by ${signal}` : `with exit status ${status}`;
  if (ended) {
    const pending = tests.filter(({ state }) => state === 'pending');
    return pending.map((test) => ({ ...test, messages: [`the run ended ${how} before it did`] }));
  }
  const under = open.size > 0 ? [...open.values()] : [...files].map((file) => ({ file, name: '' }));
  if (under.length === 0) return [{ file: 'the run', name: '', messages: [`ended ${how} before all tests had run`] }];
  return under.map((test) => ({ ...test, messages: [`was under way when the run ended ${how}`] }));
}

function failureLines(failure) {
  const text = stripVTControlCharacters(failure.messages.join('\n')).split('\n');
  const shown = text.length > LINES_EACH ? [...text.slice(0, LINES_EACH - 2), '…', text.at(-1)] : text;
  const cut = (line) => (line.length > LETTERS_A_LINE ? `${line.slice(0, LETTERS_A_LINE)}…` : line);
  return [`  ${title(failure)}`, ...shown.map((line) => `    ${cut(line)}`)];
}

function slowTests(tests) {
  const slow = tests.filter(({ durationMs }) => durationMs > SLOW_MS).sort((a, b) => b.durationMs - a.durationMs);
  if (slow.length === 0) return [];
  const line = (test) => `  ${(test.durationMs / 1000).toFixed(1)} s  ${title(test)}`;
  return ['', 'Slow tests:', ...slow.slice(0, MOST_SLOW).map(line)];
}
