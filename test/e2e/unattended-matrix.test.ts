import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { EtcdServer, hasEtcd } from '../helpers/etcd-server.ts';
import { waitFor } from '../helpers/until.ts';

/** The rows of the unattended matrix of docs/operations.md: what is gone in each. */
const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8');
type Row = { controller: boolean; agent: boolean; store: boolean };

const rows: Row[] = [...page.matchAll(/^\| (up|gone) \| (up|gone) \| (up|gone) \|/gm)].map(
  ([, controller, agent, store]) => ({
    controller: controller === 'up',
    agent: agent === 'up',
    store: store === 'up',
  }),
);

const serve = [
  ...['serve', 'quickstart', '--detach', '--set', 'frontend.port=auto', '--set', 'discovery.ttl=1s'],
  ...['--set', 'workers.decode.restart={initialBackoff: 100ms, maxBackoff: 500ms, maxRestarts: 100}'],
];
const isGone = (pid: number) => ['Z', undefined].includes(readStat(pid)?.state);

/** A folder that can be neither read nor written; undone by the returned function. */
function breakFolder(box: Sandbox): () => void {
  const folder = path.join(box.deploymentDir(), 'discovery');
  renameSync(folder, `${folder}.away`);
  writeFileSync(folder, 'not a folder');
  return () => {
    rmSync(folder);
    renameSync(`${folder}.away`, folder);
  };
}

async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitFor(`pid ${pid} to be gone`, () => isGone(pid));
}

describe('the unattended matrix of docs/operations.md', () => {
  it('has a row for every combination', () => {
    expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(8);
  });

  it.each(rows)('controller up: $controller, agent up: $agent, store up: $store', async (row) => {
    await using box = new Sandbox();
    await checkRow(row, box, serve, async () => breakFolder(box));
  });

  it.skipIf(!hasEtcd).each(rows.filter(({ store }) => !store))(
    'controller up: $controller, agent up: $agent, etcd gone',
    async (row) => {
      await using etcd = await EtcdServer.start();
      await using box = new Sandbox();
      const inEtcd = ['--set', 'discovery.backend=etcd', '--set', `discovery.endpoints=${etcd.url}`];
      await checkRow(row, box, [...serve, ...inEtcd], async () => {
        await etcd.kill();
        return () => etcd.up();
      });
    },
  );
});

/** Takes away what the row says, looks at what goes on and what does not, and mends it as the table says. */
async function checkRow(
  { controller, agent, store }: Row,
  box: Sandbox,
  command: readonly string[],
  breakStore: () => Promise<() => unknown>,
): Promise<void> {
  expect(await box.run(...command)).toMatchObject({ code: 0, stderr: '' });
  const before = await box.ready();
  const mendStore = store ? () => {} : await breakStore();
  const pids = supervisors(before);
  if (!controller) await kill(pids.controller);
  if (!agent) await kill(pids.agent);

  // Serving goes on, whatever is gone, also past the TTL and without one of the decode workers.
  for (const end = performance.now() + 2_500; performance.now() < end; ) await ask(before.endpoint);
  const victim = before.processes.find((process) => process.name === 'decode-0')!;
  await kill(victim.pid!);
  for (let count = 0; count < 10; count += 1) await ask(before.endpoint);

  const back = () =>
    waitFor(
      'decode-0 to be back',
      async () => {
        const snapshot = await box.status();
        const decode = snapshot.processes.find(({ name }) => name === 'decode-0');
        // What is seen may be older than its death.
        return decode?.state === 'ready' && decode.pid !== victim.pid;
      },
      60_000,
    );
  // By itself where the table says so; else it is not back, and comes back once mended as the table says.
  if (store && (controller || agent)) await back();
  else
    await waitFor('its death to be seen', async () => {
      const { processes } = await box.status();
      return processes.find(({ name }) => name === 'decode-0')?.state !== 'ready';
    });
  await mendStore();
  if (!controller) expect(await box.run(...command)).toMatchObject({ code: 0, stderr: '' });
  await back();
  const after = await waitFor('it to be ready and attended', async () => {
    const snapshot = await box.ready();
    return !snapshot.unattended && snapshot.agents.every(({ state }) => state === 'connected') && snapshot;
  });
  expect(after.generation).toBe(before.generation);
  for (const { name, pid } of before.processes) {
    if (name !== 'decode-0') expect(after.processes.find((process) => process.name === name)?.pid).toBe(pid);
  }
  await ask(after.endpoint);

  expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
  await waitFor('nothing to be left', () => box.processes().length === 0);
}
