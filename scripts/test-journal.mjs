// A vitest reporter: writes what happens as JSON lines, one write each, so that a run that is killed has left all up to then.
// The file is named by TEST_JOURNAL, which the tests do not get to see.
import { appendFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

export default class TestJournal {
  #file = process.env.TEST_JOURNAL;

  constructor() {
    delete process.env.TEST_JOURNAL;
  }

  onTestModuleStart(module) {
    this.#write({ at: 'file', file: module.relativeModuleId });
  }

  onTestModuleEnd(module) {
    this.#errors(module, module.relativeModuleId, '');
    this.#write({ at: 'file-end', file: module.relativeModuleId });
  }

  onTestSuiteResult(suite) {
    this.#errors(suite, suite.module.relativeModuleId, suite.fullName);
  }

  onTestCaseReady(test) {
    if (test.options.mode === 'run' || test.options.mode === 'only') this.#write({ at: 'test', ...nameOf(test) });
  }

  onTestCaseResult(test) {
    this.#write(resultOf(test));
  }

  /** Once more all of it: a test that never became ready, as its file's hooks failed, is told nowhere else. */
  onTestRunEnd(modules, unhandled) {
    const tests = modules.flatMap((module) => [...module.children.allTests()].map(resultOf));
    this.#write({ at: 'end', tests, unhandled: unhandled.map(messageOf) });
  }

  #errors(task, file, name) {
    const messages = task.errors().map(messageOf);
    if (messages.length > 0) this.#write({ at: 'errors', file, name, messages });
  }

  #write(line) {
    if (this.#file) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

const nameOf = (test) => ({ file: test.module.relativeModuleId, name: test.fullName });

function resultOf(test) {
  const { state, errors = [] } = test.result();
  const durationMs = test.diagnostic()?.duration ?? 0;
  return { at: 'result', ...nameOf(test), state, durationMs, messages: (errors ?? []).map(messageOf) };
}

/** What is wrong and where: the message, what differs, and the place in the test. */
function messageOf(error) {
  const frame = error.stacks?.find(({ file }) => !file.includes('node_modules'));
  const differs = stripVTControlCharacters(error.diff ?? '').match(/^[-+] .*$/gm) ?? [];
  const parts = [error.message ?? String(error), ...differs, frame && `at ${frame.file}:${frame.line}`];
  return parts.filter(Boolean).join('\n');
}
