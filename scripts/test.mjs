// Builds, runs every test, prints the slow ones, and ends with `N passed, N failed, N skipped` alone on the last line.
// Arguments go to vitest: `npm test -- --project unit`. Under CI a skipped test is a failure.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SLOW_MS = 5_000;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-test-'));
const report = path.join(folder, 'report.json');

function run(args) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => child.kill(name));
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal ? 1 : 0))));
}

let failed = 0;
try {
  if ((await run(['scripts/build.mjs', '--quiet'])) !== 0) throw new Error('the build failed');
  const vitest = path.join('node_modules', 'vitest', 'vitest.mjs');
  const status = await run([
    vitest,
    'run',
    ...reporters(process.argv.slice(2)),
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...projects(process.argv.slice(2)),
  ]);
  failed = summarise(JSON.parse(readFileSync(report, 'utf8')), status);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log('0 passed, 1 failed, 0 skipped');
  failed = 1;
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
  return args.some((arg) => arg.startsWith('--reporter')) ? [] : ['--reporter=default'];
}

function summarise(results, status) {
  const tests = results.testResults.flatMap((file) =>
    file.assertionResults.map((test) => ({ ...test, file: path.relative(root, file.name) })),
  );
  const slow = tests.filter((test) => (test.duration ?? 0) > SLOW_MS).sort((a, b) => b.duration - a.duration);
  if (slow.length > 0) console.log('\nSlow tests:');
  for (const test of slow.slice(0, 25))
    console.log(`  ${(test.duration / 1000).toFixed(1)} s  ${test.file}  ${test.fullName}`);

  const count = (...states) => tests.filter((test) => states.includes(test.status)).length;
  const passed = count('passed');
  const skipped = count('pending', 'skipped', 'todo', 'disabled');
  let failures =
    count('failed') +
    results.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  // An error outside any test (an unhandled rejection) fails the run too.
  if (failures === 0 && status !== 0) failures = 1;
  for (const test of tests.filter((test) => ['pending', 'skipped', 'todo', 'disabled'].includes(test.status))) {
    console.log(`skipped: ${test.file}  ${test.fullName}`);
  }
  if (process.env.CI && skipped > 0) {
    console.log('Under CI every test must run: a skipped one counts as a failure.');
    failures += skipped;
  }
  console.log(`${passed} passed, ${failures} failed, ${skipped} skipped`);
  return failures;
}
