import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestartSpec } from '../../../src/plan/launch-plan.ts';
import { isAlive, parseIdentity } from '../../../src/supervise/identity.ts';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { freePort } from '../../helpers/free-port.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

let demo: TestDeployment;
beforeEach(() => {
  demo = new TestDeployment();
});
afterEach(() => demo[Symbol.asyncDispose]());

const restart = (policy: RestartSpec['policy'], maxRestarts = 3): RestartSpec => ({
  policy,
  backoff: { initialMs: 100, maxMs: 10_000, factor: 2 },
  resetAfterMs: 60_000,
  maxRestarts,
});

/** Ends with a status once the file is there, as often as it is started. */
const leaver = (status: number, policy: RestartSpec['policy'], maxRestarts?: number) =>
  trivialProcess('worker-0', {
    argv: fixtureBin('exit-code.sh', String(status), demo.file('leave')),
    restart: restart(policy, maxRestarts),
  });
const leave = () => writeFileSync(demo.file('leave'), '');

describe('restart policies', () => {
  it('never: a failure is final, the deployment is degraded, the others live on', async () => {
    await demo.start([leaver(7, 'never'), trivialProcess('worker-1')]);
    const before = await demo.ready();
    leave();
    const failed = await demo.process('worker-0', 'failed', ({ state }) => state === 'failed');
    expect(failed).toMatchObject({ restarts: 0, generation: 1, pid: null });
    expect(failed.lastExit).toMatchObject({
      code: 7,
      signal: null,
      reason: 'exit status 7; restart policy is never',
      lastLines: ['leaving with 7'],
    });
    const view = await demo.becomes('degraded', ({ state }) => state === 'degraded');
    expect(view.processes[1]).toMatchObject({ state: 'ready', pid: before.processes[1]?.pid });
  });

  it('on-failure: a clean exit is not restarted', async () => {
    await demo.start([leaver(0, 'on-failure')]);
    await demo.ready();
    leave();
    const exited = await demo.process('worker-0', 'exited', ({ state }) => state === 'exited');
    expect(exited.lastExit?.reason).toBe('exit status 0; restart policy is on-failure');
  });

  it('on-failure: restarts wait longer each time, and when they are spent the process has failed', async () => {
    await demo.start([leaver(4, 'on-failure', 3)]);
    await demo.ready();
    leave();
    const failed = await demo.process('worker-0', 'failed', ({ state }) => state === 'failed');
    expect(failed).toMatchObject({ restarts: 3, generation: 4 });
    expect(failed.lastExit?.reason).toBe('exit status 4; it was restarted 3 times in a row');
    const waits = demo
      .events('state')
      .flatMap(({ message }) => /restart in (\d\.\d) s: (.*)/.exec(message)?.slice(1) ?? []);
    expect(waits).toEqual([
      ...['0.1', 'exit status 4; restart 1 of 3'],
      ...['0.2', 'exit status 4; restart 2 of 3'],
      ...['0.4', 'exit status 4; restart 3 of 3'],
    ]);
    expect(readFileSync(failed.logFile, 'utf8')).toBe('leaving with 4\n'.repeat(4));
  });

  it('always: a clean exit is restarted too', async () => {
    // It leaves once: the next one finds no file.
    const argv = ['/bin/sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.02; done; rm "$0"', demo.file('leave')];
    await demo.start([trivialProcess('worker-0', { argv, restart: restart('always') })]);
    const before = (await demo.ready()).processes[0]?.pid;
    leave();
    const again = await demo.process(
      'worker-0',
      'back',
      (entry) => entry.state === 'ready' && entry.restarts > 0 && entry.pid !== null,
    );
    expect(again.pid).not.toBe(before);
    expect(again.lastExit?.reason).toBe('exit status 0; restart 1 of 3');
  });
});

describe('the state shown', () => {
  it('has the time since the last change, however long ago the agent told of it', async () => {
    await demo.start([trivialProcess('worker-0')]);
    const { inStateMs } = (await demo.ready()).processes[0]!;
    await demo.process('worker-0', 'ready for longer', (entry) => entry.inStateMs > inStateMs + 100);
  });
});

describe('liveness', () => {
  it('kills and restarts what no longer answers, and says that it did', async () => {
    const port = await freePort();
    const file = demo.file('healthy');
    // Well whenever it starts.
    const argv = ['/bin/sh', '-c', ': > "$0"; exec "$@"', file, ...fixtureBin('ready-while.mjs', String(port), file)];
    await demo.start([
      trivialProcess('worker-0', {
        argv,
        url: `http://127.0.0.1:${port}`,
        ports: { http: port },
        readiness: [{ kind: 'http', path: '/' }],
        liveness: { check: { kind: 'http', path: '/' }, periodMs: 50, timeoutMs: 30_000, failures: 3 },
        restart: restart('on-failure'),
      }),
    ]);
    const before = await demo.ready();
    rmSync(file);
    const after = await demo.process(
      'worker-0',
      'ready again',
      (entry) => entry.state === 'ready' && entry.restarts === 1,
    );
    expect(after.generation).toBe(2);
    expect(demo.events('liveness-lost')).toHaveLength(1);
    expect(after.pid).not.toBe(before.processes[0]?.pid);
    expect(after.lastExit).toMatchObject({
      signal: 'SIGKILL',
      reason: 'killed by SIGKILL; restart 1 of 3 (3 checks in a row failed: GET / answers 503 warming up)',
    });
  });
});

describe('one process taken out by hand', () => {
  it('stays down after a drain and comes back on restart', async () => {
    await demo.start([trivialProcess('worker-0'), trivialProcess('worker-1')]);
    await demo.ready();
    await demo.act('drain', 'worker-0');
    const drained = await demo.process('worker-0', 'down', ({ state }) => state === 'exited');
    expect(drained).toMatchObject({ state: 'exited', pid: null, restarts: 0 });
    await demo.act('restart', 'worker-0');
    expect((await demo.ready()).processes[0]).toMatchObject({ state: 'ready', generation: 2, restarts: 0 });
  });

  it('is refused by name when there is none', async () => {
    await demo.start([trivialProcess('worker-0')]);
    await demo.ready();
    await expect(demo.act('drain', 'worker-9')).rejects.toMatchObject({
      code: 'USAGE',
      hint: 'There are worker-0.',
    });
  });
});

describe('SIGKILL of supervisors of a running deployment', () => {
  it('the next start adopts the very same processes', async () => {
    const { pid } = await demo.start([trivialProcess('worker-0'), trivialProcess('worker-1')]);
    const before = await demo.ready();
    process.kill(await demo.agentPid(), 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await demo.ended(pid);
    await demo.start();
    const after = await demo.ready();
    expect(after.processes.map((entry) => entry.pid)).toEqual(before.processes.map((entry) => entry.pid));
    expect(after).toMatchObject({ generation: 1, epoch: 2 });
    await demo.stop();
  });

  it('an exit that nobody saw is found out and restarted', async () => {
    await demo.start([leaver(5, 'on-failure'), trivialProcess('worker-1')]);
    await demo.ready();
    const agent = await demo.agentPid();
    process.kill(agent, 'SIGSTOP'); // so that it cannot see the end
    leave();
    const exit = path.join(demo.agentDir, 'runs', 'worker-0', '1', 'exit');
    await waitFor('the shim to record the end', () => existsSync(exit));
    rmSync(demo.file('leave'));
    process.kill(agent, 'SIGKILL');
    const back = await demo.process('worker-0', 'back', (entry) => entry.state === 'ready' && entry.generation === 2);
    expect(back.lastExit).toMatchObject({ code: 5 });
    expect(back.lastExit?.reason).toBe('exit status 5; restart 1 of 3 (it ended while no agent lived)');
  });

  it('an engine that outlived its shim is ended before it is replaced', async () => {
    await demo.start([trivialProcess('worker-0', { restart: restart('on-failure') })]);
    const before = (await demo.ready()).processes[0]!.pid!;
    const agent = await demo.agentPid();
    const shim = parseIdentity(
      JSON.parse(readFileSync(path.join(demo.agentDir, 'runs', 'worker-0', '1', 'identity.json'), 'utf8')),
    )!;
    process.kill(agent, 'SIGSTOP');
    process.kill(shim.pid, 'SIGKILL');
    await waitFor('the shim to be gone', () => !isAlive(shim));
    expect(demo.supervised()).toContain(before);
    process.kill(agent, 'SIGKILL');
    await demo.process(
      'worker-0',
      'replaced',
      (entry) => entry.state === 'ready' && entry.generation === 2 && entry.pid !== null,
    );
    expect(demo.supervised()).not.toContain(before);
    await demo.stop();
  });
});
