// Runs the tests against real engines: `npm run test:engines`. Slow (minutes), hence not part of `npm test`.
// Arguments go to vitest. The last line is as that of `npm test`.
// The engines run in namespaces of their own where the system allows it: their ports, processes and shared memory are then
// nobody else's, and all of it is gone with the last of them. Installing and testing end after 25 minutes together, or
// DYNAMO_TEST_ENGINES_MINUTES.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { llamacppFolder, prepareLlamacpp } from '../test/engines/setup/install-llamacpp.mjs';
import { environmentFolder, prepareEnvironment } from '../test/engines/setup/install-vllm.mjs';

const LIMIT_MS = Number(process.env.DYNAMO_TEST_ENGINES_MINUTES ?? 25) * 60_000;
const ENDED_BY_LIMIT = 124;
const root = path.resolve(import.meta.dirname, '..');
const began = Date.now();
const msLeft = () => Math.max(1, LIMIT_MS - (Date.now() - began));
const say = (line) => console.log(line);

const ENGINES = [
  {
    name: 'llama.cpp',
    variable: 'DYNAMO_TEST_LLAMACPP',
    folder: llamacppFolder(),
    prepare: prepareLlamacpp,
    files: ['test/engines/llamacpp.test.ts'],
    notes: [],
  },
  {
    name: 'vLLM for CPUs',
    variable: 'DYNAMO_TEST_VLLM',
    folder: environmentFolder(),
    prepare: prepareEnvironment,
    files: ['command-lines', 'aggregated', 'disaggregated'].map((name) => `test/engines/${name}.test.ts`),
    notes: [
      "One line of NIXL's Python wrapper is patched there: its progress thread pauses (NIXL_PTHR_DELAY_US) instead of spinning, which would keep a core busy with each idle worker.",
    ],
  },
];

const env = { ...process.env };
const files = [];
for (const engine of ENGINES) {
  try {
    engine.prepare(engine.folder, say, msLeft);
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
  const end = () => {
    try {
      // Its whole group; in namespaces of their own, all else goes with it.
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // gone in the meantime
    }
  };
  const limit = setTimeout(() => {
    limited = true;
    end();
  }, msLeft());
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, end);
  const code = await new Promise((resolve) => {
    child.once('exit', (status) => resolve(status ?? 1));
    child.once('error', (error) => {
      say(error.message);
      resolve(1);
    });
  });
  clearTimeout(limit);
  rmSync(tmp, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  if (!limited) return code;
  say(`ended after ${LIMIT_MS / 60_000} minutes, which is the limit of installing and testing together`);
  say('0 passed, 1 failed, 0 skipped');
  return ENDED_BY_LIMIT;
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
