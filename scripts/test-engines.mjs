// Runs the tests against real engines: `npm run test:engines`. Slow (minutes), hence not part of `npm test`.
// Arguments go to vitest. The last line is as that of `npm test`.
import { spawn } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { environmentFolder, prepareEnvironment } from '../test/engines/setup/install-vllm.mjs';

const folder = environmentFolder();
const env = { ...process.env, DYNAMO_TEST_VLLM: folder };
try {
  prepareEnvironment(folder, (line) => console.log(line));
  console.log(`Real vLLM for CPUs, unmodified, from ${folder}.`);
  console.log(
    "One line of NIXL's Python wrapper is patched there: its progress thread pauses (NIXL_PTHR_DELAY_US) instead of spinning, which would keep a core busy with each idle worker.",
  );
} catch (error) {
  console.log('!'.repeat(100));
  console.log(`NOT TESTED AGAINST A REAL ENGINE: ${error.message}`);
  console.log('!'.repeat(100));
  env.DYNAMO_TEST_VLLM = '';
}

// Engines take every core they get; whoever works on this machine comes first.
os.setPriority(10);
const args = [path.join(import.meta.dirname, 'test.mjs'), '--project', 'engines', ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit', env });
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => child.kill(name));
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
