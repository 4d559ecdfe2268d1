import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { readStat } from '../../../src/supervise/identity.ts';
import { fixtureBin } from '../../helpers/fixture-bin.ts';
import { freePort } from '../../helpers/free-port.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { FOREVER, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

let demo: TestDeployment;
const servers: http.Server[] = [];
beforeEach(() => {
  demo = new TestDeployment();
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await demo[Symbol.asyncDispose]();
});

/** A server of this test's own process, which answers everything with 200: nobody of the deployment. */
async function squat(port: number): Promise<http.Server> {
  const server = http.createServer((_, response) => response.end('{}'));
  // Its predecessor may be dying still.
  const listens = () =>
    new Promise<boolean>((resolve) => {
      server.removeAllListeners('error').once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
  await waitFor(`port ${port} to be free`, listens);
  servers.push(server);
  return server;
}

/** The worker is killed, and the stranger is on its port before the agent can see that. */
async function killAndSquat(port: number): Promise<http.Server> {
  const { pid } = await demo.process('worker-0', 'ready', (entry) => entry.state === 'ready' && entry.pid !== null);
  const agent = await demo.agentPid();
  process.kill(agent, 'SIGSTOP');
  await waitFor('the agent to be suspended', () => readStat(agent)?.state === 'T');
  process.kill(pid!, 'SIGKILL');
  const squatter = await squat(port);
  process.kill(agent, 'SIGCONT');
  return squatter;
}

const RESTART: ProcessSpec['restart'] = {
  policy: 'on-failure',
  backoff: { initialMs: 100, maxMs: 100, factor: 1 },
  resetAfterMs: 60_000,
  maxRestarts: 3,
};

const server = (port: number, overrides: Partial<ProcessSpec> = {}): ProcessSpec =>
  trivialProcess('worker-0', {
    argv: fixtureBin('ready-while.mjs', String(port), demo.file('ready')),
    ports: { http: port },
    fixedPorts: ['http'],
    url: `http://127.0.0.1:${port}`,
    readiness: [{ kind: 'http', path: '/health' }],
    restart: RESTART,
    ...overrides,
  });

/** Ready once its file is there: what comes after it in the start waits for that. */
async function opener(): Promise<ProcessSpec> {
  const port = await freePort();
  return server(port, {
    name: 'opener',
    argv: fixtureBin('ready-while.mjs', String(port), demo.file('open')),
  });
}

const held = (port: number) => `port ${port} (http of worker-0) is held by pid ${process.pid} (`;

describe('a stranger on the port of a process that starts', () => {
  it('does not pass for it, however well it answers', async () => {
    const port = await freePort();
    // It never listens itself: the stranger alone answers.
    const processes = [await opener(), server(port, { argv: FOREVER })];
    await demo.start(processes, { stages: [['opener'], ['worker-0']] });
    await demo.process('opener', 'starting', ({ state }) => state === 'starting');
    await squat(port);
    writeFileSync(demo.file('open'), '');
    const { error } = await demo.failed();
    expect(error?.code).toBe('PORT_IN_USE');
    expect(error?.message).toContain(held(port));
    expect(error?.message).toContain('not by worker-0');
  });

  it('is found long before the process would come to listen', async () => {
    const port = await freePort();
    const processes = [
      await opener(),
      // Its server answers 404 to what is asked of it: not ready, and not the worker's own word.
      server(port, { argv: FOREVER, readiness: [{ kind: 'model-listed', model: 'm' }], startTimeoutMs: 600_000 }),
    ];
    await demo.start(processes, { stages: [['opener'], ['worker-0']] });
    await demo.process('opener', 'starting', ({ state }) => state === 'starting');
    await squat(port);
    writeFileSync(demo.file('open'), '');
    const { error } = await demo.failed();
    expect(error?.message).toContain(held(port));
  });
});

describe('a stranger on the port of a process that starts again', () => {
  it('is waited for where the recipe writes the port down, and no restart is spent', async () => {
    const port = await freePort();
    writeFileSync(demo.file('ready'), '');
    await demo.start([server(port, { restart: { ...RESTART, maxRestarts: 1 } })]);
    await demo.ready();
    const squatter = await killAndSquat(port);
    const waiting = await demo.process('worker-0', 'waiting for its port', ({ waitingFor }) =>
      (waitingFor ?? '').includes('which is held by'),
    );
    expect(waiting).toMatchObject({ state: 'backoff', restarts: 0, generation: 1 });
    expect(waiting.waitingFor).toContain(`http port ${port}, which is held by pid ${process.pid} (`);
    expect(demo.events('port-taken').map(({ message }) => message)).toEqual([
      expect.stringContaining(`its start waits for http port ${port}`),
    ]);
    squatter.close();
    const back = await demo.process('worker-0', 'back', ({ state, pid }) => state === 'ready' && pid !== null);
    expect(back).toMatchObject({ restarts: 1, generation: 2, ports: { http: port } });
  });

  it('keeps its port otherwise: the process takes another', async () => {
    const port = await freePort();
    writeFileSync(demo.file('ready'), '');
    const other = await freePort();
    const range = { count: 1, whenTaken: true as const, first: other, last: other };
    const [node, program] = fixtureBin('ready-while.mjs');
    const script = ['/bin/sh', '-c', 'exec "$0" "$1" "$3" "$4"', node!, program!];
    const argv = [...script, '--port', String(port), demo.file('ready')];
    const moving = { freshPorts: [{ purpose: 'http', ...range }], portTexts: [{ word: 6, text: '{port:http}' }] };
    await demo.start([server(port, { argv, fixedPorts: [], ...moving })]);
    await demo.ready();
    await killAndSquat(port);
    const back = await demo.process('worker-0', 'back', ({ generation, state }) => generation > 1 && state === 'ready');
    expect(back).toMatchObject({ ports: { http: other }, url: `http://127.0.0.1:${other}` });
  });

  it('may be stopped while it waits', async () => {
    const port = await freePort();
    writeFileSync(demo.file('ready'), '');
    await demo.start([server(port)]);
    await demo.ready();
    await killAndSquat(port);
    await demo.process('worker-0', 'waiting for its port', ({ waitingFor }) =>
      (waitingFor ?? '').includes('which is held by'),
    );
    await demo.stop();
  });
});
