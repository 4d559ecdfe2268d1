import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const hasPython = spawnSync('python3', ['-c', 'import _posixshmem, _multiprocessing']).status === 0;
if (!hasPython) console.warn('SKIPPED: shared memory of Python: python3 is not installed');

let demo: TestDeployment;
let files: string[];
beforeEach(() => {
  demo = new TestDeployment();
  files = [];
});
afterEach(async () => {
  await demo[Symbol.asyncDispose]();
  for (const file of files) rmSync(file, { force: true });
});

/** A name in /dev/shm that nobody has; removed after the test. */
function shared(prefix: string, name = `dynamo${randomBytes(6).toString('hex')}`): string {
  const file = `/dev/shm/${prefix}${name}`;
  files.push(file);
  return file;
}

const once = { ...trivialProcess('x').restart, policy: 'never' as const };
const maker = (...made: string[]) =>
  trivialProcess('worker-0', { argv: fixtureBin('share-memory.mjs', ...made), restart: once });

/** Until the agent knows them: what is made and lost within a second stays. */
async function remembered(...made: string[]): Promise<void> {
  const record = `${demo.agentDir}/runs/worker-0/1/shared-memory.json`;
  await waitFor('the agent to have seen them', () => {
    const text = existsSync(record) ? readFileSync(record, 'utf8') : '';
    return made.every((file) => text.includes(`"${file.slice('/dev/shm/'.length)}"`));
  });
}

async function kill(): Promise<void> {
  const { pid } = await demo.process('worker-0', 'running', (entry) => entry.pid !== null);
  process.kill(pid!, 'SIGKILL');
  await demo.process('worker-0', 'gone', ({ state }) => state === 'failed');
}

const told = () => demo.events('shared-memory').map(({ message }) => message);

describe('shared memory that a killed process leaves behind', () => {
  it('is removed, and nothing else of the same kind', async () => {
    const made = ['psm_', 'sem.mp-', 'nccl-', 'torch_1_'].map((prefix) => shared(prefix));
    const data = shared('weights-');
    const [before, during] = [shared('psm_'), shared('psm_')];
    writeFileSync(before, 'a stranger');
    await demo.start([maker(...made, data)]);
    await demo.ready();
    writeFileSync(during, 'another');
    await remembered(...made);
    await waitFor('the last of them to be written', () => existsSync(data) && statSync(data).size === 8192);
    await kill();
    expect(made.filter(existsSync)).toEqual([]);
    expect([before, during, data].filter(existsSync)).toEqual([before, during, data]);
    expect(told()).toEqual([expect.stringMatching(/^removed what it left in \/dev\/shm: .*psm_.* \(32 KiB\)$/)]);
  });

  it('stays while somebody else uses it', async () => {
    const [mine, both] = [shared('psm_'), shared('psm_')];
    await demo.start([maker(mine, both)]);
    await demo.ready();
    await remembered(mine, both);
    const descriptor = openSync(both, 'r');
    try {
      await kill();
      expect([mine, both].filter(existsSync)).toEqual([both]);
      expect(told()).toHaveLength(2);
      expect(told()[1]).toBe(`left in /dev/shm, because others use it: ${both.slice('/dev/shm/'.length)}`);
    } finally {
      closeSync(descriptor);
    }
  });

  it('is removed by a stop, too', async () => {
    const file = shared('psm_');
    await demo.start([maker(file)]);
    await demo.ready();
    await waitFor('it to be there', () => existsSync(file));
    await demo.stop();
    expect(existsSync(file)).toBe(false);
  });

  it('is removed by the next agent when its own died with it', async () => {
    const file = shared('psm_');
    await demo.start([maker(file)]);
    await demo.ready();
    await remembered(file);
    const { pid } = await demo.process('worker-0', 'running', (entry) => entry.pid !== null);
    process.kill(await demo.agentPid(), 'SIGKILL');
    process.kill(pid!, 'SIGKILL');
    await waitFor('the next agent to clear up', () => !existsSync(file));
  });

  it('is not that of a name which somebody has made anew', async () => {
    const file = shared('psm_');
    await demo.start([maker(file)]);
    await demo.ready();
    await remembered(file);
    rmSync(file);
    writeFileSync(file, 'a stranger');
    await kill();
    expect(existsSync(file)).toBe(true);
    expect(told()).toEqual([]);
  });

  it.runIf(hasPython)('is known by what it has mapped: memory and semaphores of Python', async () => {
    const name = `dynamo${randomBytes(6).toString('hex')}`;
    const made = [shared('psm_', name), shared('sem.mp-', name)];
    const argv = ['python3', fixtureBin('share-memory.py', name)[1]!, name];
    await demo.start([trivialProcess('worker-0', { argv, restart: once })]);
    await demo.ready();
    await remembered(...made);
    await kill();
    expect(made.filter(existsSync)).toEqual([]);
  });
});
