// Builds, runs every test, prints the slow ones and the failed ones, and ends with `N passed, N failed, N skipped` alone on the
// last line, also when it is told to end. Arguments go to vitest: `npm test -- --project unit`. Under CI a skipped test is a failure.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { summarise } from './test-summary.mjs';

/** From the signal to the end of whatever does not obey it; `timeout` in .ci/run gives 30 s. */
const END_WITHIN_MS = 10_000;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-test-'));
const journal = path.join(folder, 'journal');

let child;
let signal;
for (const name of ['SIGINT', 'SIGTERM'])
  process.on(name, () => {
    signal ??= name;
    child?.kill(name);
    setTimeout(() => child?.kill('SIGKILL'), END_WITHIN_MS).unref();
  });

/** Exit status; that of a signal is 1. */
function run(args) {
  const env = { ...process.env, FORCE_COLOR: '0', TEST_JOURNAL: journal };
  child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

let failed = 1;
try {
  if ((await run(['scripts/build.mjs', '--quiet'])) !== 0) throw new Error('the build failed');
  const vitest = path.join('node_modules', 'vitest', 'vitest.mjs');
  const given = process.argv.slice(2);
  const status = await run([vitest, 'run', ...reporters(given), ...projects(given)]);
  const text = existsSync(journal) ? readFileSync(journal, 'utf8') : '';
  const summary = summarise(text, { status, signal }, { skippedFails: Boolean(process.env.CI) });
  for (const line of summary.lines) console.log(line);
  failed = summary.failed;
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
  console.log('0 passed, 1 failed, 0 skipped');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;

/** What takes minutes has commands of its own: `npm run test:matrix`, `test:hosts`, `test:engines`. */
function projects(args) {
  return args.some((arg) => arg.startsWith('--project'))
    ? args
    : ['--project', '!engines', '--project', '!hosts', '--project', '!matrix', ...args];
}

function reporters(args) {
  const own = `--reporter=${path.join(root, 'scripts', 'test-journal.mjs')}`;
  return args.some((arg) => arg.startsWith('--reporter')) ? [own] : ['--reporter=default', own];
}
