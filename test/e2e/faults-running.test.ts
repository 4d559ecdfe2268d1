import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { readControllerIdentity } from '../../src/deployment/controller-identity.ts';
import { isAlive, readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox, successorOf, supervisors } from '../helpers/deployment-sandbox.ts';
import { waitFor } from '../helpers/until.ts';

const serve = ['serve', 'quickstart', '--set', 'frontend.port=auto'];
const pidsOf = (snapshot: Awaited<ReturnType<Sandbox['status']>>) => snapshot.processes.map((process) => process.pid);
const gone = (pid: number) => waitFor(`pid ${pid} to be gone`, () => ['Z', undefined].includes(readStat(pid)?.state));

async function served(box: Sandbox) {
  const { code, stderr } = await box.run(...serve, '--detach');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return box.ready();
}

async function stopsClean(box: Sandbox) {
  const { code, stderr } = await box.run('stop', 'quickstart');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  await waitFor('nothing to be left', () => box.processes().length === 0);
}

describe('serving outlives its tools', () => {
  it('the controller killed: tokens flow, status says unattended, serve adopts the same processes', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    process.kill(supervisors(before).controller, 'SIGKILL');
    await gone(supervisors(before).controller);
    await ask(before.endpoint);
    const unattended = await box.status();
    expect(unattended).toMatchObject({ state: 'ready', unattended: true, controller: null });
    expect((await box.run('status', 'quickstart')).stdout).toContain('unattended');
    const again = await box.run(...serve, '--detach');
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('adopted');
    const after = await box.ready();
    expect(after).toMatchObject({ unattended: false, generation: before.generation, epoch: before.epoch + 1 });
    expect(pidsOf(after)).toEqual(pidsOf(before));
    await stopsClean(box);
  });

  it('the agent killed: a new one re-adopts the same processes', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    process.kill(supervisors(before).agent, 'SIGKILL');
    await gone(supervisors(before).agent);
    await ask(before.endpoint);
    const after = await successorOf(box, supervisors(before).agent);
    expect(pidsOf(after)).toEqual(pidsOf(before));
    await ask(after.endpoint);
    await stopsClean(box);
  });

  it('controller and agent killed together: tokens flow, and stop still leaves nothing', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const { controller, agent } = supervisors(before);
    process.kill(controller, 'SIGKILL');
    process.kill(agent, 'SIGKILL');
    await Promise.all([gone(controller), gone(agent)]);
    await ask(before.endpoint);
    expect(await box.status()).toMatchObject({ unattended: true, agents: [{ state: 'lost' }] });
    await stopsClean(box);
  });

  it('what restarts unattended: a worker killed while no controller lives comes back, its pairs proven', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    process.kill(supervisors(before).controller, 'SIGKILL');
    const victim = before.processes.find((process) => process.name === 'decode-0')!;
    process.kill(victim.pid!, 'SIGKILL');
    const after = await waitFor('decode-0 to be back', async () => {
      const snapshot = await box.status();
      const found = snapshot.processes.find((process) => process.name === 'decode-0')!;
      return found.state === 'ready' && found.pid !== victim.pid && found;
    });
    expect(after.restarts).toBe(1);
    expect(after.lastExit).toMatchObject({ signal: 'SIGKILL' });
    await ask(before.endpoint);
    await stopsClean(box);
  });

  it('a suspended controller: status and stop do without it, and it finds nothing to do when it wakes', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const { controller } = supervisors(before);
    const identity = readControllerIdentity(box.deploymentDir())!;
    process.kill(controller, 'SIGSTOP');
    expect(await box.status()).toMatchObject({ unattended: true });
    await ask(before.endpoint);
    const { code, stderr } = await box.run('stop', 'quickstart');
    expect(stderr).toContain('does not answer');
    expect(code).toBe(0);
    await waitFor('nothing to be left', () => box.processes().length === 0);
    expect(isAlive(identity)).toBe(false);
  });

  it('a suspended controller that wakes goes on as if nothing had been', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const { controller } = supervisors(before);
    process.kill(controller, 'SIGSTOP');
    await ask(before.endpoint);
    process.kill(controller, 'SIGCONT');
    const after = await box.ready();
    expect(after).toMatchObject({ unattended: false, epoch: before.epoch });
    expect(pidsOf(after)).toEqual(pidsOf(before));
    await stopsClean(box);
  });
});

describe('the terminal goes away', () => {
  it.each(['SIGHUP', 'SIGKILL'] as const)('%s to serve merely detaches', async (signal) => {
    await using box = new Sandbox();
    const command = box.start(...serve);
    await command.readUntil(/is ready in/);
    command.signal(signal);
    await command.exited;
    const snapshot = await box.ready();
    await ask(snapshot.endpoint);
    await stopsClean(box);
  });

  it('a broken pipe merely detaches', async () => {
    await using box = new Sandbox();
    const dynamo = path.join(packageRoot, 'bin', 'dynamo');
    const child = spawn('/bin/sh', ['-c', `"${dynamo}" ${serve.join(' ')} | head -n 1`], {
      env: { ...process.env, ...box.env },
      stdio: 'ignore',
    });
    await once(child, 'exit');
    const snapshot = await box.ready();
    await ask(snapshot.endpoint);
    await stopsClean(box);
  });

  it('an ephemeral deployment ends with its client', async () => {
    await using box = new Sandbox();
    const command = box.start(...serve, '--ephemeral');
    await command.readUntil(/is ready in/);
    command.signal('SIGKILL');
    await command.exited;
    await waitFor('everything to be gone', () => box.processes().length === 0);
    expect(await box.status()).toMatchObject({ state: 'stopped' });
  });

  it('Ctrl-C stops everything; a second one forces it', async () => {
    await using box = new Sandbox();
    // It does not end by itself before the second one.
    const stays = ['workers.decode.args.fault=ignore-sigterm', 'workers.decode.drain.killAfter=10m'];
    const command = box.start(...serve, ...stays.flatMap((setting) => ['--set', setting]));
    await command.readUntil(/is ready in/);
    command.signal('SIGINT');
    await command.readUntil(/decode-0 +stopping/);
    command.signal('SIGINT');
    expect(await command.exited).toBe(130);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});

describe('a worker dies under load', () => {
  it('requests go on elsewhere, it is restarted, its pairs are proven anew', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const victim = before.processes.find((process) => process.name === 'prefill-0')!;
    let stop = false;
    const outcomes: boolean[] = [];
    const clients = Array.from({ length: 4 }, async () => {
      while (!stop)
        outcomes.push(
          await ask(before.endpoint).then(
            () => true,
            () => false,
          ),
        );
    });
    await waitFor('load', () => outcomes.length > 20);
    process.kill(victim.pid!, 'SIGKILL');
    await waitFor('prefill-0 to be back', async () => {
      const found = (await box.status()).processes.find((process) => process.name === 'prefill-0')!;
      return found.state === 'ready' && found.pid !== victim.pid;
    });
    const seen = outcomes.length;
    await waitFor('more load', () => outcomes.length > seen + 20);
    stop = true;
    await Promise.all(clients);
    // No client had its first byte when the prefill worker died: nothing may be lost.
    expect(outcomes.filter((ok) => !ok)).toHaveLength(0);
    const restarted = box.events().filter((event) => event.type === 'pair' && event.message.startsWith('prefill-0'));
    expect(restarted).toHaveLength(4); // twice at the start, twice after the restart
    await stopsClean(box);
  });

  it('draining a worker under load loses no request', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    let stop = false;
    const outcomes: (true | string)[] = [];
    const clients = Array.from({ length: 4 }, async () => {
      while (!stop)
        outcomes.push(
          await ask(before.endpoint, 'mock-model', 40).then(
            () => true as const,
            (error: Error) => error.message,
          ),
        );
    });
    await waitFor('load', () => outcomes.length > 10);
    for (const name of ['decode-0', 'prefill-1', 'decode-1']) {
      const { code, stderr } = await box.run('restart', name);
      expect(stderr).toBe('');
      expect(code).toBe(0);
    }
    stop = true;
    await Promise.all(clients);
    expect(outcomes.filter((outcome) => outcome !== true)).toEqual([]);
    await stopsClean(box);
  });
});
