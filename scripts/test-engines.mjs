// Runs the tests against real engines: `npm run test:engines`. Slow (minutes), hence not part of `npm test`.
// Arguments go to vitest. The last line is as that of `npm test`.
// The engines run in namespaces of their own where the system allows it: their ports, processes and shared memory are then
// nobody else's, and all of it is gone with the last of them. Installing and testing have a time each, so that a slow network
// cannot use up that of the tests.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { llamacppFolder, prepareLlamacpp } from '../test/engines/setup/install-llamacpp.mjs';
import { environmentFolder, prepareEnvironment } from '../test/engines/setup/install-vllm.mjs';

/** They take 13 minutes on 2 quiet cores. */
const LIMIT_MS = Number(process.env.DYNAMO_TEST_ENGINES_MINUTES ?? 40) * 60_000;
/** From the signal to the end of what does not obey it: the tests' own script says then what was under way. */
const END_WITHIN_MS = 20_000;
const ENDED_BY_LIMIT = 124;
const root = path.resolve(import.meta.dirname, '..');
const say = (line) => console.log(line);

const ENGINES = [
  {
    name: 'llama.cpp',
    variable: 'DYNAMO_TEST_LLAMACPP',
    folder: llamacppFolder(),
    prepare: prepareLlamacpp,
    minutes: 4,
    files: ['test/engines/llamacpp.test.ts'],
    notes: [],
  },
  {
    name: 'vLLM for CPUs',
    variable: 'DYNAMO_TEST_VLLM',
    folder: environmentFolder(),
    prepare: prepareEnvironment,
    minutes: 20,
    files: ['command-lines', 'aggregated', 'disaggregated'].map((name) => `test/engines/${name}.test.ts`),
    notes: [
      "One line of NIXL's Python wrapper is patched there: its progress thread pauses (NIXL_PTHR_DELAY_US) instead of spinning, which would keep a core busy with each idle worker.",
    ],
  },
];

const env = { ...process.env };
const files = [];
for (const engine of ENGINES) {
  const until = Date.now() + engine.minutes * 60_000;
  try {
    engine.prepare(engine.folder, say, () => Math.max(1, until - Date.now()), LIMIT_MS);
    say(`Real ${engine.name}, unmodified, from ${engine.folder}.`);
    for (const note of engine.notes) say(note);
    env[engine.variable] = engine.folder;
    files.push(...engine.files);
  } catch (error) {
    say('!'.repeat(100));
    say(`NOT TESTED AGAINST A REAL ${engine.name}: ${error.message}`);
    say('!'.repeat(100));
    env[engine.variable] = '';
  }
}
if (files.length === 0) say('0 passed, 0 failed, 0 skipped');
else process.exitCode = await runTests();

/** What an argument names, or all that can run. */
function vitestArgs() {
  const given = process.argv.slice(2);
  const named = given.some((arg) => !arg.startsWith('-'));
  return ['--project', 'engines', '--reporter=verbose', ...(named ? [] : files), ...given];
}

async function runTests() {
  // Engines leave files in the folder for temporary ones when they are killed, which is what some tests do.
  const tmp = mkdtempSync(path.join(os.tmpdir(), 'dynamo-engines-'));
  const cache = path.join(environmentFolder(), 'cache');
  if (env.DYNAMO_TEST_VLLM) mkdirSync(cache, { recursive: true });
  // Engines take every core they get; whoever works on this machine comes first.
  os.setPriority(3);
  const command = [process.execPath, path.join(root, 'scripts', 'test.mjs'), ...vitestArgs()];
  const [program, ...args] = [...isolation(), ...command];
  const child = spawn(program, args, {
    stdio: 'inherit',
    cwd: root,
    env: { ...env, TMPDIR: tmp, VLLM_CACHE_ROOT: cache },
    detached: true,
  });
  let limited = false;
  const kill = (signal) => {
    try {
      // Its whole group; in namespaces of their own, all else goes with it.
      process.kill(-child.pid, signal);
    } catch {
      // gone in the meantime
    }
  };
  const end = () => {
    kill('SIGTERM');
    setTimeout(() => kill('SIGKILL'), END_WITHIN_MS).unref();
  };
  const limit = setTimeout(() => {
    say(`ended after ${LIMIT_MS / 60_000} minutes, which is the limit of testing`);
    limited = true;
    end();
  }, LIMIT_MS);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, end);
  const code = await new Promise((resolve) => {
    child.once('exit', (status, signal) => {
      if (signal) say(`0 passed, 1 failed, 0 skipped`);
      resolve(status ?? 1);
    });
    child.once('error', (error) => {
      say(error.message);
      resolve(1);
    });
  });
  clearTimeout(limit);
  rmSync(tmp, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  return limited ? ENDED_BY_LIMIT : code;
}

/** Command words that give the rest processes, ports and shared memory of its own; none where the system refuses. */
function isolation() {
  const setUp = 'mount -t tmpfs tmpfs /dev/shm && ip link set lo up && "$@"; exit $?';
  const words = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
  for (const more of [[], ['--user', '--map-root-user']]) {
    const prefix = [...words, ...more, 'sh', '-c', setUp, 'sh'];
    if (spawnSync(prefix[0], [...prefix.slice(1), 'true'], { stdio: 'ignore' }).status === 0) return prefix;
  }
  say('No namespaces here: ports, processes and shared memory are those of the machine.');
  return [];
}
