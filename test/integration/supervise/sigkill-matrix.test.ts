import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectController, spawnController } from '../../../src/deployment/controller-client.ts';
import { readRecord } from '../../../src/deployment/record.ts';
import { deploymentPaths } from '../../../src/deployment/state-dir.ts';
import { createDiscovery } from '../../../src/discovery/create-discovery.ts';
import { processesWithEnv, readStat } from '../../../src/supervise/identity.ts';
import { tryLock } from '../../../src/supervise/locks.ts';
import { START_STEPS } from '../../../src/supervise/start-steps.ts';
import { kill } from '../../helpers/kill.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { startRequest, trivialPlan, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

/**
 * The promise of a gang start: whoever is killed at whichever step, the deployment ends up whole or gone, and can be started
 * and stopped afterwards without a trace. Every step × before/after × controller/agent.
 */
const cases = START_STEPS.flatMap(({ name, actors }) =>
  (['before', 'after'] as const).flatMap((moment) => actors.map((actor) => ({ name, moment, actor }))),
);
const names = ['worker-0', 'worker-1'];

let tmp: ReturnType<typeof tmpDir>;
let dir: string;
beforeEach(() => {
  tmp = tmpDir();
  dir = path.join(tmp.dir, 'd');
  process.env['DYNAMO_LOCK_DIR'] = tmp.dir;
});
afterEach(async () => {
  delete process.env['DYNAMO_CRASH_AT'];
  delete process.env['DYNAMO_LOCK_DIR'];
  await waitFor('everything of the test to be gone', () => {
    const pids = leftovers();
    for (const pid of pids) kill(pid);
    return pids.length === 0;
  });
  tmp[Symbol.dispose]();
});

const leftovers = () => processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (value) => value === dir);
/** The lease is what an agent waits before it takes back the start of a controller that died. */
const request = (startLeaseMs: number) => {
  const processes = [trivialProcess('worker-0', { gpus: [0] }), trivialProcess('worker-1')];
  return startRequest(dir, trivialPlan('matrix', processes, { startLeaseMs }));
};
const snapshot = async () => {
  const client = await connectController(dir).catch(() => undefined);
  client?.peer.close();
  return client?.hello.snapshot;
};

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** The processes of the workers once each has come to its last program: two `sleep` a worker. */
const settledWorkers = () =>
  waitFor('the workers to be up', () => {
    const pids = leftovers().filter((pid) => programOf(pid) === 'sleep');
    return pids.length === 2 * names.length ? pids : undefined;
  });

/** How many agents have come up: two when one was killed and replaced. */
function agentsSeen(): number {
  const { events } = deploymentPaths(dir);
  return existsSync(events) ? (readFileSync(events, 'utf8').match(/"agent pid \d+ up/g)?.length ?? 0) : 0;
}

async function isCommitted(): Promise<boolean> {
  const record = readRecord(deploymentPaths(dir).record);
  if (!record) return false;
  const discovery = await createDiscovery(
    { backend: 'file', root: deploymentPaths(dir).discovery },
    { deployment: 'matrix', ttlMs: 2_000 },
  );
  try {
    return (await discovery.readCommit(record.generation)) !== undefined;
  } finally {
    await discovery[Symbol.asyncDispose]();
  }
}

async function becomesReady(): Promise<number[]> {
  const ready = await waitFor('the deployment to be ready', async () => {
    const view = await snapshot();
    return view?.state === 'ready' && view.processes.every((entry) => entry.pid !== null) ? view : undefined;
  });
  return ready.processes.map((entry) => entry.pid!);
}

async function stopsWithoutATrace(): Promise<void> {
  const client = (await connectController(dir))!;
  expect(await client.peer.request('stop', { force: false })).toEqual({ leftPids: [] });
  client.peer.close();
  await waitFor('no process to be left', () => leftovers().length === 0);
  expect(readRecord(deploymentPaths(dir).record)?.phase).toBe('stopped');
  const gpuLock = tryLock(path.join(tmp.dir, 'dynamo', 'gpu-0.lock'), { holder: 'test' });
  expect(gpuLock).toBeDefined();
  gpuLock?.release();
  const sockets = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.sock'));
  expect(sockets).toEqual([]);
}

describe('SIGKILL at every step of a start', () => {
  it.each(cases)('$actor $moment $name', async ({ name, moment, actor }) => {
    process.env['DYNAMO_CRASH_AT'] = actor === 'controller' ? `${name}:${moment}` : `${name}:${moment}:local`;
    const first = request(actor === 'controller' ? 1_000 : 60_000);
    const { pid } = (await spawnController('matrix', dir, first).catch(() => undefined)) ?? {};
    delete process.env['DYNAMO_CRASH_AT'];

    if (actor === 'agent') {
      // The controller replaces the agent, and the start completes. Killed at the last step, the agent dies when all is ready already.
      await waitFor('the agent to be replaced', () => agentsSeen() === 2);
      await becomesReady();
      expect(agentsSeen()).toBe(2);
      await stopsWithoutATrace();
      return;
    }
    // Without a pid it died before it listened.
    await waitFor('the controller to be dead', () => !pid || ['Z', undefined].includes(readStat(pid)?.state));
    if (await isCommitted()) {
      // Nothing is undone unasked: the next start adopts the very same processes.
      const before = await settledWorkers();
      await spawnController('matrix', dir, request(60_000));
      const pids = await becomesReady();
      expect(pids.every((worker) => before.includes(worker))).toBe(true);
    } else {
      await waitFor('everything to be undone', () => leftovers().length === 0);
      await spawnController('matrix', dir, request(60_000));
      await becomesReady();
    }
    await stopsWithoutATrace();
  });

  it('names every crash point it was given', () => {
    expect(cases.length).toBe(START_STEPS.reduce((sum, step) => sum + 2 * step.actors.length, 0));
    expect(existsSync(dir)).toBe(false);
  });
});
