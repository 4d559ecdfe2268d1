import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { describe, expect, it } from 'vitest';
import { CHANGE_STEPS } from '../../src/supervise/change-steps.ts';
import { readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { freePort } from '../helpers/free-port.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import { waitFor } from '../helpers/until.ts';

type Snapshot = Awaited<ReturnType<Sandbox['status']>>;

const serve = [
  ...['serve', 'quickstart', '--detach', '--set', 'frontend.port=auto', '--set', 'startLease=20s'],
  ...['--set', 'workers.prefill.replicas=1', '--set', 'workers.decode.replicas=1'],
];
const names = (snapshot: Snapshot) => snapshot.processes.map(({ name }) => name);
const pidOf = (snapshot: Snapshot, name: string) => snapshot.processes.find((entry) => entry.name === name)?.pid;
const isGone = (pid: number) => ['Z', undefined].includes(readStat(pid)?.state);

async function served(box: Sandbox, ...more: string[]): Promise<Snapshot> {
  expect(await box.run(...serve, ...more)).toMatchObject({ code: 0, stderr: '' });
  return box.ready();
}

async function stopsClean(box: Sandbox): Promise<void> {
  expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
  await waitFor('nothing to be left', () => box.processes().length === 0);
}

/** A free port whose next one is held by this test. */
async function heldNeighbour(): Promise<{ port: number; holder: Server }> {
  for (;;) {
    const port = await freePort();
    const holder = createServer();
    const held = new Promise<boolean>((resolve) => {
      holder.once('error', () => resolve(false));
      holder.listen(port + 1, '127.0.0.1', () => resolve(true));
    });
    if (await held) return { port, holder };
  }
}

describe('dynamo scale', () => {
  it('adds and removes workers under load; nothing is lost, and those that stay are not touched', async () => {
    await using box = new Sandbox();
    const before = await served(box);
    const traffic = steadyLoad(before.endpoint, 4);
    await waitFor('load', () => traffic.answered() > 10);

    const up = await box.run('scale', 'prefill=3', 'decode=2');
    expect(up).toMatchObject({ code: 0, stdout: 'prefill: 1 → 3 workers\ndecode: 1 → 2 workers\n' });
    const grown = await box.ready();
    expect(names(grown)).toEqual(['prefill-0', 'prefill-1', 'prefill-2', 'decode-0', 'decode-1', 'frontend']);
    expect(grown.pairs.map(({ state }) => state)).toEqual(Array.from({ length: 6 }, () => 'proven'));
    expect(grown).toMatchObject({ planHash: before.planHash, generation: before.generation, change: null });
    for (const { name, pid } of before.processes) expect(pidOf(grown, name)).toBe(pid);
    const seen = traffic.answered();
    await waitFor('more load', () => traffic.answered() > seen + 10);

    const down = await box.run('scale', 'prefill=1', 'decode=-1', '--json');
    expect(JSON.parse(down.stdout)).toEqual({
      deployment: 'quickstart',
      steps: [
        { group: 'prefill', from: 3, to: 1 },
        { group: 'decode', from: 2, to: 1 },
      ],
    });
    const shrunk = await box.ready();
    expect(names(shrunk)).toEqual(names(before));
    for (const { name, pid } of before.processes) expect(pidOf(shrunk, name)).toBe(pid);
    expect(shrunk.scaled).toEqual([]);
    expect(await traffic.end()).toEqual([]);
    for (const name of ['prefill-1', 'prefill-2', 'decode-1']) expect(isGone(pidOf(grown, name)!)).toBe(true);
    await stopsClean(box);
  });

  it('survives its controller and agent: serve attaches to what was scaled, and says so', async () => {
    await using box = new Sandbox();
    await served(box);
    expect(await box.run('scale', 'prefill=2')).toMatchObject({ code: 0 });
    const before = await box.ready();
    for (const pid of Object.values(supervisors(before))) {
      process.kill(pid, 'SIGKILL');
      await waitFor('it to be gone', () => isGone(pid));
    }
    expect(names(await box.status())).toEqual(names(before));
    const again = await box.run(...serve);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('scaled since: prefill 1 → 2');
    const after = await box.ready();
    expect(after.processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));
    expect(await box.run('scale', 'prefill=+1')).toMatchObject({ code: 0 });
    expect(names(await box.ready())).toContain('prefill-2');
    await stopsClean(box);
    // A new start is the recipe's again.
    expect((await served(box)).processes).toHaveLength(3);
    await stopsClean(box);
  });

  it('a new worker that crashes: all of the change is undone, what ran goes on', async () => {
    await using box = new Sandbox();
    const poison = box.file('poison', '');
    rmSync(poison);
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file('wrapper.sh', `[ -e ${poison} ] && { echo poisoned; exit 7; }\nexec ${dynamo} "$@"\n`);
    const before = await served(box, '--set', `workers.decode.command=[sh, ${wrapper}]`);
    const traffic = steadyLoad(before.endpoint, 4);
    await waitFor('load', () => traffic.answered() > 5);
    writeFileSync(poison, '');
    const { code, stderr } = await box.run('scale', 'prefill=2', 'decode=2');
    expect(code).toBe(5);
    expect(stderr).toContain('decode-1 ended while starting: exit status 7');
    expect(stderr).toContain('poisoned');
    const after = await box.ready();
    expect(after.processes.map(({ name, pid }) => [name, pid])).toEqual(
      before.processes.map(({ name, pid }) => [name, pid]),
    );
    expect(after).toMatchObject({ change: null, scaled: [] });
    rmSync(poison);
    expect(await box.run('scale', 'decode=2')).toMatchObject({ code: 0 });
    expect(await traffic.end()).toEqual([]);
    await stopsClean(box);
  });

  it('a port that is written down and taken: refused, nothing is changed', async () => {
    await using box = new Sandbox();
    const { port, holder } = await heldNeighbour();
    const before = await served(box, '--set', `workers.decode.port=${port}`);
    try {
      const { code, stderr } = await box.run('scale', 'decode=2');
      expect(code).toBe(4);
      expect(stderr).toContain(`port ${port + 1} (http of decode-1) is held by pid ${process.pid}`);
      expect(names(await box.ready())).toEqual(names(before));
    } finally {
      holder.close();
    }
    await stopsClean(box);
  });

  it('refuses without a controller, and while another change is under way', async () => {
    await using box = new Sandbox();
    const hold = box.file('hold', '');
    rmSync(hold);
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file('wrapper.sh', `while [ -e ${hold} ]; do sleep 0.05; done\nexec ${dynamo} "$@"\n`);
    const before = await served(box, '--set', `workers.decode.command=[sh, ${wrapper}]`);
    writeFileSync(hold, '');
    const slow = box.run('scale', 'decode=2');
    await waitFor('the change to begin', async () => (await box.status()).change === 'decode 1 → 2');
    const second = await box.run('scale', 'prefill=2');
    expect(second).toMatchObject({ code: 4 });
    expect(second.stderr).toContain('quickstart is busy: scale decode=2');
    rmSync(hold);
    expect(await slow).toMatchObject({ code: 0 });
    process.kill(supervisors(before).controller, 'SIGKILL');
    await waitFor('no controller', async () => (await box.status()).unattended);
    expect(await box.run('scale', 'prefill=2')).toMatchObject({ code: 7 });
    await stopsClean(box);
  });

  it('a stop in the middle of a change leaves nothing', async () => {
    await using box = new Sandbox();
    const hang = box.file('hang', '');
    rmSync(hang);
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file('wrapper.sh', `[ -e ${hang} ] && exec sleep 600\nexec ${dynamo} "$@"\n`);
    await served(box, '--set', `workers.decode.command=[sh, ${wrapper}]`);
    writeFileSync(hang, '');
    const never = box.run('scale', 'decode=2');
    await waitFor('the new worker to start', async () =>
      (await box.status()).processes.some(({ name, state }) => name === 'decode-1' && state === 'starting'),
    );
    await stopsClean(box);
    expect((await never).code).not.toBe(0);
    expect(await box.status()).toMatchObject({ state: 'stopped', change: null });
  });
});

const cases = CHANGE_STEPS.flatMap(({ name, actors }) =>
  (['before', 'after'] as const).flatMap((moment) => actors.map((actor) => ({ name, moment, actor }))),
);

describe('SIGKILL at every step of a change', () => {
  it.each(cases)('$actor $moment $name', async ({ name, moment, actor }) => {
    await using box = new Sandbox();
    const crash = actor === 'controller' ? `${name}:${moment}` : `${name}:${moment}:local`;
    Object.assign(box.env, { DYNAMO_CRASH_AT: crash });
    // One more prefill worker in place of one decode worker: something comes, and something goes.
    const before = await served(box, '--set', 'workers.decode.replicas=2');
    delete box.env['DYNAMO_CRASH_AT'];
    const asked = await box.run('scale', 'prefill=2', 'decode=1');
    const scaled = ['prefill-0', 'prefill-1', 'decode-0', 'frontend'];
    if (actor === 'agent') {
      expect(asked).toMatchObject({ code: 0 });
      expect(names(await box.ready())).toEqual(scaled);
    } else {
      expect(asked.code).not.toBe(0);
      expect(await box.run(...serve, '--set', 'workers.decode.replicas=2')).toMatchObject({ code: 0, stderr: '' });
      const after = await waitFor('the change to be over', async () => {
        const snapshot = await box.ready();
        return snapshot.change === null ? snapshot : undefined;
      });
      const steps = CHANGE_STEPS.map((step) => step.name);
      const isCommitted =
        steps.indexOf(name) > steps.indexOf('change-commit') || (name === 'change-commit' && moment === 'after');
      expect(names(after)).toEqual(isCommitted ? scaled : names(before));
    }
    const after = await box.ready();
    for (const kept of ['prefill-0', 'decode-0', 'frontend']) expect(pidOf(after, kept)).toBe(pidOf(before, kept));
    await ask(after.endpoint);
    // Two supervisors, and an engine with its shim for each process; what one of the dead left behind goes first.
    const expected = 2 + 2 * after.processes.length;
    await waitFor(`${expected} processes`, () => box.processes().length === expected);
    await stopsClean(box);
  });
});
