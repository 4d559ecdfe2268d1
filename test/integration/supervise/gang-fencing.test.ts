import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentPaths, deploymentPaths } from '../../../src/deployment/state-dir.ts';
import { formatRecordKey } from '../../../src/discovery/record-key.ts';
import { readStat } from '../../../src/supervise/identity.ts';
import { PROTOCOL_VERSION } from '../../../src/supervise/protocol.ts';
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

/** A start that stays uncommitted until `demo.file('ready')` exists. */
async function startHeldBack(startLeaseMs: number): Promise<number> {
  const port = await freePort();
  const held = trivialProcess('worker-1', {
    argv: fixtureBin('ready-while.mjs', String(port), demo.file('ready')),
    url: `http://127.0.0.1:${port}`,
    ports: { http: port },
    readiness: [{ kind: 'http', path: '/' }],
    startTimeoutMs: 60_000,
  });
  const { pid } = await demo.start([trivialProcess('worker-0'), held], { startLeaseMs });
  await demo.process('worker-1', 'starting', (entry) => entry.state === 'starting' && entry.pid !== null);
  return pid;
}

async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await waitFor('the controller to be suspended', () => readStat(pid)?.state === 'T');
}

describe('epochs', () => {
  it('a lower one is refused, an unattached caller too, and nothing changes', async () => {
    const { pid } = await demo.start([trivialProcess('worker-0')]);
    const before = await demo.ready();
    process.kill(pid, 'SIGKILL');
    await demo.ended(pid);
    await demo.start();
    await demo.ready();
    const peer = await demo.agentPeer();
    const attach = (epoch: number, protocol = PROTOCOL_VERSION, deployment = 'trivial') =>
      peer.request('attach', { protocol, deployment, epoch });
    await expect(attach(1)).rejects.toMatchObject({
      code: 'SUPERSEDED',
      message: 'epoch 1 is over: this agent has seen 2',
    });
    await expect(attach(9, PROTOCOL_VERSION + 1)).rejects.toMatchObject({ code: 'STATE_VERSION' });
    await expect(attach(9, PROTOCOL_VERSION, 'other')).rejects.toMatchObject({ code: 'NO_DEPLOYMENT' });
    await expect(peer.request('stop', { force: true })).rejects.toMatchObject({ code: 'SUPERSEDED' });
    await expect(peer.request('undo', {})).rejects.toMatchObject({ code: 'SUPERSEDED' });
    const seen = await peer.request('observe', { protocol: PROTOCOL_VERSION });
    peer.close();
    expect(seen).toMatchObject({ phase: 'committed', generation: 1, inDoubt: false });
    expect((await demo.ready()).processes[0]?.pid).toBe(before.processes[0]?.pid);
  });

  it('a higher one takes the agent over, and the old controller ends instead of fighting', async () => {
    const { pid } = await demo.start([trivialProcess('worker-0')]);
    const before = (await demo.ready()).processes[0]?.pid;
    const peer = await demo.agentPeer();
    await peer.request('attach', { protocol: PROTOCOL_VERSION, deployment: 'trivial', epoch: 7 });
    await demo.ended(pid);
    expect(demo.supervised()).toContain(before);
    expect(await peer.request('stop', { force: true })).toEqual({ leftPids: [] });
    peer.close();
    await demo.empty();
  });
});

describe('another launcher with a deployment of the same name', () => {
  const attachAs = (owner: string, epoch: number) => ({
    ...{ protocol: PROTOCOL_VERSION, deployment: 'trivial' },
    ...{ owner, epoch },
  });

  it('is refused while anything runs, whatever its epoch, and harms nothing', async () => {
    await demo.start([trivialProcess('worker-0')]);
    const before = await demo.ready();
    const peer = await demo.agentPeer();
    await expect(peer.request('attach', attachAs('ada@elsewhere 1', 99))).rejects.toMatchObject({
      code: 'DEPLOYMENT_BUSY',
      message: expect.stringMatching(/^local runs a deployment trivial that \S+@\S+ started$/),
    });
    for (const method of ['stop', 'undo'] as const)
      await expect(peer.request(method, { force: true })).rejects.toMatchObject({ code: 'SUPERSEDED' });
    peer.close();
    expect((await demo.ready()).processes[0]?.pid).toBe(before.processes[0]?.pid);
    await demo.stop();
  });

  it('waits its turn on an idle host that somebody else has just attached to', async () => {
    const { pid } = await demo.start([trivialProcess('worker-0')]);
    await demo.ready();
    const first = await demo.agentPeer();
    const second = await demo.agentPeer();
    const { owner, epoch } = JSON.parse(readFileSync(agentPaths(demo.dir, 'local').epoch, 'utf8')) as {
      owner: string;
      epoch: number;
    };
    await first.request('attach', attachAs(owner, epoch + 1));
    // It must have heard of its successor before somebody else takes the host: from then on the agent knows no epoch of its.
    await demo.ended(pid);
    await first.request('stop', { force: true });
    await expect(second.request('attach', attachAs('ada@elsewhere 1', 1))).rejects.toMatchObject({
      code: 'DEPLOYMENT_BUSY',
      message: expect.stringMatching(/^local is about to run a deployment trivial that \S+@\S+ started$/),
    });
    first.close();
    await waitFor('the host to be free', () =>
      second.request('attach', attachAs('ada@elsewhere 1', 1)).then(
        ({ phase }) => phase === 'idle',
        () => undefined,
      ),
    );
    second.close();
    await demo.empty();
  });

  it('may use the host once nothing runs there, though it has counted fewer epochs', async () => {
    const { pid } = await demo.start([trivialProcess('worker-0')]);
    await demo.ready();
    const peer = await demo.agentPeer();
    const { epoch, owner } = JSON.parse(readFileSync(agentPaths(demo.dir, 'local').epoch, 'utf8')) as {
      epoch: number;
      owner: string;
    };
    await peer.request('attach', attachAs(owner, epoch + 5));
    await demo.ended(pid);
    expect(await peer.request('stop', { force: true })).toEqual({ leftPids: [] });
    await expect(peer.request('attach', attachAs(owner, 1))).rejects.toMatchObject({ code: 'SUPERSEDED' });
    expect(await peer.request('attach', attachAs('ada@elsewhere 1', 1))).toMatchObject({ phase: 'idle' });
    peer.close();
    await demo.empty();
  });
});

describe('a controller that is suspended before the commit', () => {
  it('for longer than the lease: the agent undoes; resumed, the start ends whole', async () => {
    const controller = await startHeldBack(2_000);
    await suspend(controller);
    await waitFor('everything but the controller to be gone', () => demo.pids().every((pid) => pid === controller));
    expect(demo.events('undo').at(-1)?.message).toMatch(
      /^no controller for \d+\.\d s before the commit: undoing generation 1$/,
    );
    writeFileSync(demo.file('ready'), '');
    process.kill(controller, 'SIGCONT');
    const view = await demo.ready();
    expect(view.processes.every((entry) => entry.state === 'ready')).toBe(true);
    await demo.stop();
  });

  it('for less than the lease: nothing is undone', async () => {
    const controller = await startHeldBack(60_000);
    const before = demo.supervised();
    await suspend(controller);
    writeFileSync(demo.file('ready'), '');
    const peer = await demo.agentPeer();
    await waitFor('the agent to see the last process ready', async () => {
      const { processes } = await peer.request('observe', { protocol: PROTOCOL_VERSION });
      return processes.every((entry) => entry.state === 'ready');
    });
    peer.close();
    process.kill(controller, 'SIGCONT');
    await demo.ready();
    expect(before.every((pid) => demo.supervised().includes(pid))).toBe(true);
    await demo.stop();
  });
});

describe('an agent that cannot read the commit record', () => {
  it('needs none while it has published nothing: it undoes its part', async () => {
    const controller = await startHeldBack(2_000);
    const { discovery } = deploymentPaths(demo.dir);
    renameSync(discovery, `${discovery}.away`);
    writeFileSync(discovery, 'not a folder');
    process.kill(controller, 'SIGKILL');
    await demo.empty();
    expect(demo.events('in-doubt')).toEqual([]);
  });

  it('is in doubt when all was published: it keeps its processes and says so, and undoes once it can read that there is none', async () => {
    process.env['DYNAMO_CRASH_AT'] = 'commit:before';
    const controller = await startHeldBack(2_000);
    delete process.env['DYNAMO_CRASH_AT'];
    const before = demo.supervised();
    // There before the controller comes to its commit: in the way of whoever reads.
    const key = formatRecordKey({ kind: 'commit', generation: 1 });
    const record = path.join(deploymentPaths(demo.dir).discovery, 'trivial', `${key}.json`);
    writeFileSync(record, 'no record');
    writeFileSync(demo.file('ready'), '');
    await demo.ended(controller);
    const peer = await demo.agentPeer();
    const seen = () => peer.request('observe', { protocol: PROTOCOL_VERSION });
    await waitFor('the agent to be in doubt', async () => (await seen()).inDoubt);
    expect((await seen()).phase).toBe('published');
    expect(demo.events('in-doubt')).toHaveLength(1);
    expect(before.every((pid) => demo.supervised().includes(pid))).toBe(true);
    peer.close();
    rmSync(record);
    await demo.empty();
  });
});
