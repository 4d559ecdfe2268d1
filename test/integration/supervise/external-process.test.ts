import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploymentPaths } from '../../../src/deployment/state-dir.ts';
import { createDiscovery } from '../../../src/discovery/create-discovery.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { TestDeployment } from '../../helpers/test-deployment.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

let demo: TestDeployment;
let server: http.Server;
let port = 0;
let models = ['m'];
let up = true;

beforeEach(async () => {
  demo = new TestDeployment();
  [models, up] = [['m'], true];
  server = http.createServer((request, response) => {
    if (!up) return void request.socket.destroy();
    const known = request.url === '/v1/models';
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ data: models.map((id) => ({ id, max_model_len: 4096 })) }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  await demo[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const external = (overrides: Partial<ProcessSpec> = {}): ProcessSpec =>
  trivialProcess('worker-0', {
    external: true,
    argv: [],
    model: 'm',
    engine: 'openai',
    url: `http://127.0.0.1:${port}`,
    readiness: [
      { kind: 'http', path: '/v1/models' },
      { kind: 'model-listed', model: 'm' },
    ],
    liveness: { check: { kind: 'http', path: '/v1/models' }, periodMs: 50, timeoutMs: 30_000, failures: 2 },
    ...overrides,
  });

const is = (state: string) => demo.process('worker-0', state, (process) => process.state === state);

async function listed(): Promise<{ generation: number; url: string; maxModelLen: number | null }[]> {
  await using discovery = await createDiscovery(
    { backend: 'file', root: deploymentPaths(demo.dir).discovery },
    { deployment: demo.name, ttlMs: 2_000 },
  );
  const { instances } = await discovery.list();
  return instances.map(({ generation, url, maxModelLen }) => ({ generation, url, maxModelLen }));
}

describe('a server that somebody else runs', () => {
  it('is published without a process, withdrawn while it does not answer, and published anew', async () => {
    await demo.start([external()]);
    await demo.becomes('committed', (snapshot) => snapshot.state === 'ready');
    expect(await is('ready')).toMatchObject({ pid: null, generation: 1, restarts: 0 });
    const url = `http://127.0.0.1:${port}`;
    expect(await listed()).toEqual([{ generation: 1, url, maxModelLen: 4096 }]);

    up = false;
    await is('starting');
    await waitFor('it to be withdrawn', async () => ((await listed()).length === 0 ? true : undefined));
    up = true;
    expect(await is('ready')).toMatchObject({ generation: 2, restarts: 1 });
    await waitFor('it to be published again', async () => ((await listed())[0]?.generation === 2 ? true : undefined));
    expect(server.listening).toBe(true);
  });

  it('ends the start when it does not serve the model', async () => {
    models = ['another'];
    // One check alone: whatever is in time of it, that is what it waits for.
    await demo.start([external({ startTimeoutMs: 300, readiness: [{ kind: 'model-listed', model: 'm' }] })]);
    const { error } = await demo.failed();
    expect(error?.code).toBe('NOT_READY');
    expect(error?.message).toMatch(/worker-0 was not ready within .*\/v1\/models to list m/);
    expect(server.listening).toBe(true);
  });

  it('is taken up by the next agent when one dies, as the same generation', async () => {
    await demo.start([external()]);
    await demo.becomes('committed', (snapshot) => snapshot.state === 'ready');
    const pid = await demo.agentPid();
    process.kill(pid, 'SIGKILL');
    await demo.becomes('attended by another agent', ({ agents }) => {
      const next = agents[0]?.pid ?? null;
      return next !== null && next !== pid;
    });
    expect(await is('ready')).toMatchObject({ generation: 1, restarts: 0 });
    expect((await listed()).map(({ generation }) => generation)).toEqual([1]);
  });

  it('can be drained and taken back', async () => {
    await demo.start([external(), trivialProcess('worker-1')]);
    await demo.becomes('committed', (snapshot) => snapshot.state === 'ready');
    await demo.act('drain', 'worker-0');
    expect(await is('exited')).toMatchObject({ pid: null });
    expect((await listed()).map(({ url }) => url)).not.toContain(`http://127.0.0.1:${port}`);
    await demo.act('restart', 'worker-0');
    expect(await is('ready')).toMatchObject({ generation: 2 });
  });
});
