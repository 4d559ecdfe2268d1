import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DynamoError } from '../../../src/base/errors.ts';
import { connectController } from '../../../src/deployment/controller-client.ts';
import type { DeploymentSnapshot } from '../../../src/deployment/snapshot.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
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

/** A worker of several processes, its leader first, one on each host. */
function group(name: string, hosts: readonly string[]): ProcessSpec[] {
  return hosts.map((host, rank) =>
    trivialProcess(rank === 0 ? name : `${name}-node${rank}`, {
      host,
      group: { name, rank, size: hosts.length, leader: rank === 0 },
    }),
  );
}

const pidsOf = (view: DeploymentSnapshot) => new Map(view.processes.map(({ name, pid }) => [name, pid]));

async function becomesAnew(before: DeploymentSnapshot, names: readonly string[]): Promise<DeploymentSnapshot> {
  const old = pidsOf(before);
  return demo.becomes('ready anew', (view) => {
    const now = pidsOf(view);
    return view.state === 'ready' && names.every((name) => now.get(name) !== null && now.get(name) !== old.get(name));
  });
}

describe('a worker of several processes', () => {
  it.each([0, 1])('restarts as a whole when member %i ends; others are not touched', async (victim) => {
    const members = group('worker-0', ['local', 'local', 'local']);
    await demo.start([...members, trivialProcess('worker-1')]);
    const before = await demo.ready();
    process.kill(before.processes[victim]!.pid!, 'SIGKILL');
    const names = members.map((spec) => spec.name);
    const after = await becomesAnew(before, names);
    expect(after.processes.map(({ restarts }) => restarts)).toEqual([1, 1, 1, 0]);
    expect(pidsOf(after).get('worker-1')).toBe(pidsOf(before).get('worker-1'));
    // None is started before the last of the old ones is down.
    const moves = demo.events('state').filter((event) => names.includes(event.process ?? ''));
    const down = moves.findLastIndex(({ message }) => message.includes('→ backoff'));
    const up = moves.findIndex(({ message }) => message.startsWith('backoff → prepared'));
    expect(up).toBeGreaterThan(down);
    await demo.stop();
  });

  it('is ended as a whole when a member ended while no agent lived', async () => {
    await demo.start(group('worker-0', ['local', 'local']));
    const before = await demo.ready();
    const agent = await demo.agentPid();
    process.kill(agent, 'SIGSTOP');
    process.kill(before.processes[1]!.pid!, 'SIGKILL');
    process.kill(agent, 'SIGKILL');
    await becomesAnew(before, ['worker-0', 'worker-0-node1']);
    await demo.stop();
  });

  it('restarts as a whole over hosts, through the controller', async () => {
    await demo.start(group('worker-0', ['local', 'b']), { hosts: ['local', 'b'] });
    const before = await demo.ready();
    process.kill(before.processes[1]!.pid!, 'SIGKILL');
    const after = await becomesAnew(before, ['worker-0', 'worker-0-node1']);
    process.kill(after.processes[0]!.pid!, 'SIGKILL');
    const again = await becomesAnew(after, ['worker-0', 'worker-0-node1']);
    expect(again.processes.map(({ restarts }) => restarts)).toEqual([2, 2]);
    await demo.stop();
  });

  it('over hosts waits for a controller, and says so', async () => {
    const { pid } = await demo.start(group('worker-0', ['local', 'b']), { hosts: ['local', 'b'] });
    const before = await demo.ready();
    process.kill(pid, 'SIGKILL');
    await demo.ended(pid);
    process.kill(before.processes[1]!.pid!, 'SIGKILL');
    await waitFor('the member to wait', () =>
      demo.events('state').some(({ message }) => message.includes('→ backoff')),
    );
    await demo.start();
    await becomesAnew(before, ['worker-0', 'worker-0-node1']);
    await demo.stop();
  });

  it('is drained and brought back as one, by the name of any member', async () => {
    await demo.start(group('worker-0', ['local', 'b']), { hosts: ['local', 'b'] });
    const before = await demo.ready();
    await demo.act('restart', 'worker-0-node1');
    await becomesAnew(before, ['worker-0', 'worker-0-node1']);
    await demo.act('drain', 'worker-0');
    await demo.becomes('drained', (view) => view.processes.every(({ state }) => state === 'exited'));
    await demo.stop();
  });
});

describe('rolling restart and drain of a host', () => {
  async function rolling(...targets: string[]): Promise<string[]> {
    const client = (await connectController(demo.dir))!;
    try {
      return (await client.peer.request('rolling', { targets })).restarted;
    } finally {
      client.peer.close();
    }
  }

  it('goes through all, or through those that are named, one after the other', async () => {
    await demo.start([
      trivialProcess('decode-0', { role: 'decode' }),
      trivialProcess('prefill-0', { role: 'prefill' }),
      trivialProcess('decode-1', { role: 'decode' }),
    ]);
    const before = await demo.ready();
    expect(await rolling('decode')).toEqual(['decode-0', 'decode-1']);
    const after = await demo.ready();
    expect(after.processes.map(({ generation }) => generation)).toEqual([2, 1, 2]);
    expect(pidsOf(after).get('prefill-0')).toBe(pidsOf(before).get('prefill-0'));
    expect(await rolling()).toEqual(['prefill-0', 'decode-0', 'decode-1']);
    const states = demo.events('state').filter(({ message }) => /ready → draining|→ ready/.test(message));
    const last = states
      .slice(-6)
      .map(({ process: name, message }) => `${name} ${message.endsWith('ready') ? 'up' : 'down'}`);
    expect(last).toEqual([
      'prefill-0 down',
      'prefill-0 up',
      'decode-0 down',
      'decode-0 up',
      'decode-1 down',
      'decode-1 up',
    ]);
    await expect(rolling('nobody')).rejects.toMatchObject({ code: 'USAGE', message: 'nothing here is called nobody' });
    await demo.stop();
  });

  it('stops at the first that does not come back, and leaves the others alone', async () => {
    const [broken, well] = [demo.file('broken'), demo.file('well')];
    writeFileSync(well, '');
    const never = { ...trivialProcess('x').restart, policy: 'never' as const };
    const decoder = async (index: number) => {
      const port = await freePort();
      const server = fixtureBin('ready-while.mjs', String(port), well);
      return trivialProcess(`decode-${index}`, {
        role: 'decode',
        argv: ['/bin/sh', '-c', '[ -e "$0" ] && exit 9; exec "$@"', broken, ...server],
        url: `http://127.0.0.1:${port}`,
        ports: { http: port },
        readiness: [{ kind: 'http', path: '/' }],
        restart: never,
      });
    };
    await demo.start([await decoder(0), await decoder(1), await decoder(2)]);
    const before = await demo.ready();
    writeFileSync(broken, '');
    const { details } = await rolling().then(
      () => Promise.reject(new Error('it went through all')),
      (error: DynamoError) => error,
    );
    const untouched = details.flatMap((line) => /^not touched: (.*)$/.exec(line)?.[1]?.split(', ') ?? []);
    expect(untouched).toEqual(['decode-1', 'decode-2']);
    const view = await demo.becomes('degraded', ({ state }) => state === 'degraded');
    for (const name of untouched) expect(pidsOf(view).get(name)).toBe(pidsOf(before).get(name));
    await demo.stop();
  });

  it('drains every process of a host', async () => {
    await demo.start(
      [
        trivialProcess('worker-0'),
        trivialProcess('worker-1', { host: 'b' }),
        trivialProcess('worker-2', { host: 'b' }),
      ],
      { hosts: ['local', 'b'] },
    );
    await demo.ready();
    await demo.act('drain', 'b');
    // The answer may be here before the last change is told.
    await demo.process('worker-1', 'down', ({ state }) => state === 'exited');
    await demo.process('worker-2', 'down', ({ state }) => state === 'exited');
    const view = (await demo.snapshot())!;
    expect(view.processes.map(({ state }) => state)).toEqual(['ready', 'exited', 'exited']);
    await demo.stop();
  });
});
