import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, Sandbox, supervisors } from '../helpers/deployment-sandbox.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import { waitFor } from '../helpers/until.ts';

type Snapshot = Awaited<ReturnType<Sandbox['status']>>;

const names = (snapshot: Snapshot) => snapshot.processes.map(({ name }) => name);
const pidOf = (snapshot: Snapshot, name: string) => snapshot.processes.find((entry) => entry.name === name)?.pid;

/** A recipe of simulated workers. */
function recipe(box: Sandbox, prefill: string, decode: string, more = ''): string {
  const groups = `workers: { prefill: { ${prefill} }, decode: { ${decode} } }`;
  return box.file(
    'rolled.yaml',
    `name: rolled\nmodel: mock-model\nengine: mocker\nstartLease: 20s\n${groups}\n${more}`,
  );
}

const serve = (box: Sandbox, file: string, ...more: string[]) => box.run('serve', file, '--detach', ...more);

async function served(box: Sandbox, file: string): Promise<Snapshot> {
  expect(await serve(box, file)).toMatchObject({ code: 0, stderr: '' });
  return box.ready('rolled');
}

async function stopsClean(box: Sandbox): Promise<void> {
  expect(await box.run('stop', 'rolled')).toMatchObject({ code: 0, stderr: '' });
  await waitFor('nothing to be left', () => box.processes().length === 0);
}

const record = (box: Sandbox): { rolling?: { problem: string | null } | null; recipeText: string } =>
  JSON.parse(readFileSync(path.join(box.deploymentDir('rolled'), 'deployment.json'), 'utf8'));

/** Environment with which a process was started, as the kernel has it. */
const envOf = (pid: number, name: string) =>
  readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);

describe('serve --rolling', () => {
  it('replaces what changed one at a time under load; nothing is lost, and what did not change is not touched', async () => {
    await using box = new Sandbox();
    const before = await served(box, recipe(box, 'replicas: 2', ''));
    const traffic = steadyLoad(before.endpoint, 3);
    await waitFor('load', () => traffic.answered() > 5);
    const file = recipe(box, 'replicas: 2, env: { MARK: new }', 'env: { MARK: new }');
    expect((await serve(box, file)).code).toBe(3);
    const dry = await box.run('serve', file, '--rolling', '--dry-run');
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toBe(
      [
        '1. prefill-0: replaced in place',
        '2. prefill-1: replaced in place',
        '3. decode-0: replaced by decode-1, which is up before it goes',
        '',
      ].join('\n'),
    );
    expect(await serve(box, file, '--rolling')).toMatchObject({ code: 0 });
    expect(await traffic.end()).toEqual([]);
    const after = await box.ready('rolled');
    expect(names(after)).toEqual(['prefill-0', 'prefill-1', 'decode-1', 'frontend']);
    expect(pidOf(after, 'frontend')).toBe(pidOf(before, 'frontend'));
    expect(after).toMatchObject({ generation: before.generation, endpoint: before.endpoint, change: null, scaled: [] });
    expect(after.pairs.map(({ state }) => state)).toEqual(['proven', 'proven']);
    for (const { name, pid } of after.processes) if (name !== 'frontend') expect(envOf(pid!, 'MARK'), name).toBe('new');
    expect((await serve(box, file)).stdout).toContain('attached');
    expect(await serve(box, file, '--rolling')).toMatchObject({ code: 0 });
    expect((await box.run('scale', 'prefill=3')).code).toBe(0);
    expect(envOf(pidOf(await box.ready('rolled'), 'prefill-2')!, 'MARK')).toBe('new');
    await stopsClean(box);
  });

  it('refuses a gap unless --replace allows it, and what cannot be done one at a time', async () => {
    await using box = new Sandbox();
    const before = await served(box, recipe(box, '', ''));
    const file = recipe(box, '', '', 'frontend: { routerMode: random }\n');
    const refused = await serve(box, file, '--rolling');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('without a gap');
    expect(refused.stderr).toContain('it is the only frontend');
    const other = box.file('other.yaml', readFileSync(file, 'utf8').replace('mock-model', 'other-model'));
    expect((await serve(box, other, '--rolling')).stderr).toContain('changed: the models it serves');
    expect((await box.ready('rolled')).processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));
    expect(await serve(box, file, '--rolling', '--replace')).toMatchObject({ code: 0 });
    const after = await box.ready('rolled');
    expect(after.endpoint).toBe(before.endpoint);
    expect(pidOf(after, 'frontend')).not.toBe(pidOf(before, 'frontend'));
    expect(pidOf(after, 'decode-0')).toBe(pidOf(before, 'decode-0'));
    await ask(after.endpoint);
    await stopsClean(box);
  });

  it('adds and removes, also beside a replacement; hooks alone replace nothing', async () => {
    await using box = new Sandbox();
    const before = await served(box, recipe(box, 'replicas: 2', 'replicas: 2'));
    const file = recipe(box, 'replicas: 1', 'replicas: 3', 'hooks: { onStop: "true" }\n');
    expect(await serve(box, file, '--rolling')).toMatchObject({ code: 0 });
    const after = await box.ready('rolled');
    expect(names(after)).toEqual(['prefill-0', 'decode-0', 'decode-1', 'decode-2', 'frontend']);
    for (const name of ['prefill-0', 'decode-0', 'decode-1', 'frontend'])
      expect(pidOf(after, name)).toBe(pidOf(before, name));
    await stopsClean(box);
    expect(box.events('rolled').filter(({ type }) => type === 'hook')).toHaveLength(2);
  });

  it('a new one that does not come up: the old one is brought back, and the next try goes on', async () => {
    await using box = new Sandbox();
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file('wrapper.sh', `[ -n "$POISON" ] && { echo poisoned; exit 7; }\nexec ${dynamo} "$@"\n`);
    const prefill = `replicas: 2, command: [sh, ${wrapper}]`;
    const before = await served(box, recipe(box, prefill, ''));
    const traffic = steadyLoad(before.endpoint, 3);
    const bad = await serve(box, recipe(box, `${prefill}, env: { POISON: 1 }`, ''), '--rolling');
    expect(bad.code).toBe(5);
    expect(bad.stderr).toContain('poisoned');
    expect(bad.stderr).toContain('prefill-0: brought back as it was');
    const after = await box.ready('rolled');
    expect(names(after)).toEqual(names(before));
    for (const name of ['prefill-1', 'decode-0', 'frontend']) expect(pidOf(after, name)).toBe(pidOf(before, name));
    expect(record(box).rolling?.problem).toContain('prefill-0');
    const good = recipe(box, `${prefill}, env: { MARK: good }`, '');
    expect(await serve(box, good, '--rolling')).toMatchObject({ code: 0 });
    expect(await traffic.end()).toEqual([]);
    const mended = await box.ready('rolled');
    for (const name of ['prefill-0', 'prefill-1']) expect(envOf(pidOf(mended, name)!, 'MARK')).toBe('good');
    expect(record(box).rolling).toBeNull();
    await stopsClean(box);
  });
});

describe('SIGKILL during serve --rolling', () => {
  it.each([
    // The first change takes a worker out, the second brings its successor: the steps of both, by what the controller passes first.
    ...[
      'change-record:after',
      'change-commit:before',
      'change-commit:after',
      'change-settle:after',
      'change-retire:before',
    ],
    ...['change-retire:after', 'change-reserve:after', 'change-ready:before', 'change-publish:after'],
    ...['change-reserve:after:local', 'change-publish:before:local', 'change-retire:after:local'],
  ])('at %s: brought to its end by whoever comes next', async (crash) => {
    await using box = new Sandbox();
    const old = recipe(box, 'replicas: 2', '');
    Object.assign(box.env, { DYNAMO_CRASH_AT: crash });
    const before = await served(box, old);
    delete box.env['DYNAMO_CRASH_AT'];
    const file = recipe(box, 'replicas: 2, env: { MARK: new }', '');
    const first = await serve(box, file, '--rolling');
    if (crash.endsWith(':local')) expect(first.code, first.stderr).toBe(0);
    else {
      expect(first.code).not.toBe(0);
      await waitFor('no controller', async () => (await box.status('rolled')).unattended);
      const again = await serve(box, file, '--rolling');
      expect(again.code, again.stderr).toBe(0);
    }
    const after = await box.ready('rolled');
    expect(names(after)).toEqual(names(before));
    for (const name of ['prefill-0', 'prefill-1']) expect(envOf(pidOf(after, name)!, 'MARK'), name).toBe('new');
    for (const name of ['decode-0', 'frontend']) expect(pidOf(after, name)).toBe(pidOf(before, name));
    expect(record(box).rolling).toBeNull();
    await ask(after.endpoint);
    // Two supervisors, and an engine with its shim for each process; what one of the dead left behind goes first.
    const expected = 2 + 2 * after.processes.length;
    await waitFor(`${expected} processes`, () => box.processes().length === expected);
    await stopsClean(box);
  });

  it('goes on by itself once a controller adopts it', async () => {
    await using box = new Sandbox();
    const hang = box.file('hang', '');
    const dynamo = new URL('../../bin/dynamo', import.meta.url).pathname;
    const wrapper = box.file(
      'wrapper.sh',
      `[ -n "$MARK" ] && while [ -e ${hang} ]; do sleep 0.05; done\nexec ${dynamo} "$@"\n`,
    );
    const old = recipe(box, `replicas: 2, command: [sh, ${wrapper}]`, '');
    const before = await served(box, old);
    const oldText = readFileSync(old, 'utf8');
    const file = recipe(box, `replicas: 2, command: [sh, ${wrapper}], env: { MARK: new }`, '');
    const asked = serve(box, file, '--rolling');
    await waitFor('the successor to start', async () =>
      (await box.status('rolled')).processes.some(({ name, state }) => name === 'prefill-0' && state === 'starting'),
    );
    process.kill(supervisors(before).controller, 'SIGKILL');
    expect((await asked).code).not.toBe(0);
    rmSync(hang);
    writeFileSync(old, oldText);
    expect(await serve(box, old)).toMatchObject({ code: 0 });
    await waitFor('the replacement to be done', () => record(box).rolling === null, 60_000);
    const after = await box.ready('rolled');
    for (const name of ['prefill-0', 'prefill-1']) expect(envOf(pidOf(after, name)!, 'MARK'), name).toBe('new');
    await stopsClean(box);
  });
});
