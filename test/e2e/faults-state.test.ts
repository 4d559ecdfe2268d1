import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox, successorOf, supervisors } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const serve = ['serve', 'quickstart', '--set', 'frontend.port=auto'];
const gone = (pid: number) => waitFor(`pid ${pid} to be gone`, () => ['Z', undefined].includes(readStat(pid)?.state));

async function served(box: Sandbox) {
  expect((await box.run(...serve, '--detach')).code).toBe(0);
  return box.ready();
}

async function stopsClean(box: Sandbox) {
  expect((await box.run('stop', 'quickstart')).code).toBe(0);
  await waitFor('nothing to be left', () => box.processes().length === 0);
}

/** Does something while a process stands still. */
function suspended(pid: number, work: () => void): void {
  process.kill(pid, 'SIGSTOP');
  try {
    work();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

describe('what is on disk is lost or late', () => {
  it('a discovery store wiped under a running deployment: the next serve adopts what runs', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    // All of it at once: its agent writes in it meanwhile.
    const folder = path.join(box.deploymentDir(), 'discovery');
    renameSync(folder, `${folder}.away`);
    rmSync(`${folder}.away`, { recursive: true });
    process.kill(supervisors(before).controller, 'SIGKILL');
    await gone(supervisors(before).controller);
    const again = await box.run(...serve, '--detach');
    expect(again.stdout).toContain('adopted');
    const after = await box.ready();
    expect(after.generation).toBe(before.generation);
    expect(after.processes.map((entry) => entry.pid)).toEqual(before.processes.map((entry) => entry.pid));
    await ask(after.endpoint);
    await stopsClean(box);
  });

  it('a worker that dies while the store is away waits for it, and spends no restarts', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const folder = path.join(box.deploymentDir(), 'discovery');
    // Its agent would make the folder anew in between.
    const { agent } = supervisors(before);
    suspended(agent, () => {
      renameSync(folder, `${folder}.away`);
      box.file('home/deployments/quickstart/discovery', 'not a folder');
    });
    const victim = before.processes.find((entry) => entry.name === 'decode-0')!;
    process.kill(victim.pid!, 'SIGKILL');
    const find = async () => (await box.status()).processes.find((entry) => entry.name === 'decode-0')!;
    const waiting = await waitFor('decode-0 to wait for the store', async () => {
      const found = await find();
      return found.waitingFor?.includes('the discovery store') && found;
    });
    expect(waiting.restarts).toBe(1);
    await ask(before.endpoint);
    suspended(agent, () => {
      rmSync(folder);
      renameSync(`${folder}.away`, folder);
    });
    const back = await waitFor('decode-0 to be back', async () => {
      const found = await find();
      return found.state === 'ready' && found;
    });
    expect(back.restarts).toBe(1);
    await stopsClean(box);
  });

  it('an agent replaced: the pairs stay proven', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    process.kill(supervisors(before).agent, 'SIGKILL');
    const after = await successorOf(box, supervisors(before).agent);
    expect(after.pairs).toEqual(before.pairs);
    await stopsClean(box);
  });

  it('a start taken back by its agents is shown as failed, not as starting', async () => {
    await using box = new Sandbox();
    box.env['DYNAMO_CRASH_AT'] = 'publish:before';
    const { code, stderr } = await box.run(...serve, '--set', 'startLease=4s');
    expect(code).toBe(5);
    expect(stderr).toContain('[START_LOST]');
    delete box.env['DYNAMO_CRASH_AT'];
    await waitFor('everything to be undone', () => box.processes().length === 0);
    expect(await box.status()).toMatchObject({ state: 'failed', error: { code: 'START_LOST' } });
    expect((await box.run('ls')).stdout).toContain('no deployment is running');
  });

  it('serve says that the controller is suspended, and how to wake it', async () => {
    await using box = new Sandbox();
    const { controller } = supervisors(await served(box));
    process.kill(controller, 'SIGSTOP');
    const { code, stderr } = await box.run(...serve, '--detach');
    expect(code).toBe(4);
    expect(stderr).toContain('[DEPLOYMENT_BUSY]');
    expect(stderr).toContain(`kill -CONT ${controller}`);
    process.kill(controller, 'SIGCONT');
    await stopsClean(box);
  });
});
