import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { FOREVER, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const uuid = (gpu: number) => `GPU-0000000${gpu}-aaaa-bbbb-cccc-dddddddddddd`;
let tmp: ReturnType<typeof tmpDir>;
let demo: TestDeployment;
let stranger: ChildProcess | undefined;
const before = { ...process.env };
const file = (name: string) => path.join(tmp.dir, name);

/** A machine with two GPUs; what computes on them is what the file `apps` says. */
beforeEach(() => {
  tmp = tmpDir();
  writeFileSync(file('apps'), '');
  writeFileSync(file('log'), '');
  Object.assign(process.env, {
    DYNAMO_LOCK_DIR: tmp.dir,
    PATH: `${path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus')}:${before['PATH']}`,
    FAKE_SMI_APPS: file('apps'),
    FAKE_SMI_LOG: file('log'),
  });
  demo = new TestDeployment();
});
afterEach(async () => {
  stranger?.kill('SIGKILL');
  stranger = undefined;
  await demo[Symbol.asyncDispose]();
  for (const name of ['DYNAMO_LOCK_DIR', 'FAKE_SMI_APPS', 'FAKE_SMI_LOG', 'DYNAMO_CRASH_AT']) delete process.env[name];
  process.env['PATH'] = before['PATH'];
  tmp[Symbol.dispose]();
});

const questions = () =>
  readFileSync(file('log'), 'utf8')
    .split('\n')
    .filter((line) => line === 'apps').length;

it('a stranger on a GPU that no lock holds is named, and nothing is launched; without it the start is whole', async () => {
  stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
  writeFileSync(file('apps'), `${uuid(1)}, ${stranger.pid}, 70000, sleep\n`);
  const launched = file('launched');
  const argv = ['/bin/sh', '-c', `echo $$ >> ${launched}; exec sleep 600`];
  writeFileSync(launched, '');
  await demo.start([trivialProcess('worker-0', { argv, gpus: [0] }), trivialProcess('worker-1', { argv, gpus: [1] })]);
  const { error } = await demo.failed();
  expect(error).toMatchObject({
    code: 'GPU_UNAVAILABLE',
    exit: 4,
    message: `GPU 1 is used by pid ${stranger.pid} of ${os.userInfo().username}: sleep 600`,
  });
  expect(readFileSync(launched, 'utf8')).toBe('');

  stranger.kill('SIGKILL');
  writeFileSync(file('apps'), '');
  writeFileSync(file('log'), '');
  await demo.start();
  await demo.ready();
  expect(questions()).toBe(1);
  await demo.stop();
});

it('a worker of an earlier run that is not gone yet is waited for', async () => {
  // Of a run of ours, and on no GPU any more after the third look.
  stranger = spawn('sleep', ['600'], { stdio: 'ignore', env: { ...process.env, DYNAMO_RUN_ID: 'of-before' } });
  const bin = tmpDir();
  const smi = path.join(bin.dir, 'nvidia-smi');
  const real = path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus', 'nvidia-smi');
  writeFileSync(
    smi,
    `#!/bin/sh\n[ "$(grep -c apps ${file('log')})" -lt 2 ] || : >${file('apps')}\nexec ${real} "$@"\n`,
  );
  chmodSync(smi, 0o755);
  process.env['PATH'] = `${bin.dir}:${process.env['PATH']}`;
  writeFileSync(file('apps'), `${uuid(0)}, ${stranger.pid}, 70000, sleep\n`);
  await demo.start([trivialProcess('worker-0', { gpus: [0] })]);
  await demo.ready();
  expect(demo.events('gpus').map(({ message }) => message)).toEqual([
    `waiting for GPU 0: pid ${stranger.pid} is ending`,
  ]);
  await demo.stop();
  bin[Symbol.dispose]();
});

it('workers of ours that share a GPU are no strangers to an agent that takes the start up again', async () => {
  process.env['DYNAMO_CRASH_AT'] = 'prove:before:local';
  const [shell, option, script] = FOREVER as [string, string, string];
  const argv = [shell, option, `echo "${uuid(0)}, $$, 30000, engine" >> ${file('apps')}; ${script}`];
  await demo.start([trivialProcess('worker-0', { argv, gpus: [0] }), trivialProcess('worker-1', { argv, gpus: [0] })]);
  const view = await demo.ready();
  expect(view.processes.map(({ restarts }) => restarts)).toEqual([0, 0]);
  await waitFor(
    'both to be on the GPU',
    () => readFileSync(file('apps'), 'utf8').trim().split('\n').filter(Boolean).length === 2,
  );
  expect(questions()).toBe(2);
  expect(demo.events('agent-lost')).toHaveLength(1);
  await demo.stop();
});

it('an nvidia-smi that fails is told, and keeps nobody from starting; so does a person who knows better', async () => {
  const bin = tmpDir();
  writeFileSync(path.join(bin.dir, 'nvidia-smi'), '#!/bin/sh\nexit 9\n');
  chmodSync(path.join(bin.dir, 'nvidia-smi'), 0o755);
  const fake = process.env['PATH'];
  process.env['PATH'] = `${bin.dir}:${fake}`;
  await demo.start([trivialProcess('worker-0', { gpus: [0] })]);
  await demo.ready();
  expect(demo.events('gpus').map(({ message }) => message)).toEqual([
    'who uses GPU 0 is not known: nvidia-smi failed with status 9',
  ]);
  await demo.stop();
  bin[Symbol.dispose]();

  process.env['PATH'] = fake;
  process.env['DYNAMO_GPU_STRANGERS'] = 'allow';
  try {
    writeFileSync(file('apps'), `${uuid(0)}, ${process.pid}, 70000, vitest\n`);
    await demo.start();
    expect((await demo.ready()).generation).toBe(2);
    await demo.stop();
  } finally {
    delete process.env['DYNAMO_GPU_STRANGERS'];
  }
});
