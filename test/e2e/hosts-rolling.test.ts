import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentRecord } from '../../src/deployment/record.ts';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { supervisors } from '../helpers/deployment-sandbox.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf } from '../helpers/fleet.ts';
import { SWITCHED_MOCKER } from '../helpers/host-switches.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

const PATIENT = 'startTimeout: 2m, restart: { initialBackoff: 100ms, maxBackoff: 1s, maxRestarts: 100 }';

/** Two prefill workers that span two hosts each, and single decode workers. */
const workers = (mark: string, decodes = 2) => `
  prefill: { replicas: 2, nodes: 2, env: { MARK: '${mark}' }, ${PATIENT} }
  decode: { replicas: ${decodes}, env: { MARK: '${mark}' }, command: ${SWITCHED_MOCKER}, ${PATIENT} }`;

/** Two hosts at first, a third in reserve. Each test leaves a whole deployment to the next one. */
describe.skipIf(!hasTestHosts || !hasEtcd)('rolling changes over hosts', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: 3, named: 2, workers: workers('one') });
    await fleet.served();
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());
  afterEach(() => {
    for (const host of fleet.net.hosts) {
      host.wire('whole');
      host.run('rm -f /tmp/hang');
    }
  });

  const record = (): DeploymentRecord =>
    JSON.parse(readFileSync(path.join(fleet.box.deploymentDir('fleet'), 'deployment.json'), 'utf8'));
  const hostsOf = ({ agents }: DeploymentSnapshot) => agents.map(({ host }) => host);
  const isWorker = ({ role }: { role: string }) => role !== 'frontend';
  const hostOf = (view: DeploymentSnapshot, name: string) => fleet.host(named(view, name).host);
  /** Environment with which a process was started, as the kernel of its host has it. */
  const marks = (view: DeploymentSnapshot) =>
    view.processes
      .filter(isWorker)
      .map(({ host, pid }) => /^MARK=(.*)$/m.exec(fleet.host(host).run(`tr '\\0' '\\n' < /proc/${pid}/environ`))?.[1]);
  /** No process runs twice: on each host as many workers and frontends as the snapshot says, once those before are gone. */
  const nothingDouble = async (view: DeploymentSnapshot) => {
    for (const host of fleet.net.hosts) {
      const wanted = view.processes.filter((process) => process.host === host.name).length;
      const shims = () => host.processes().filter((line) => line.includes('/shim.sh '));
      await waitFor(`${wanted} to run on ${host.name}`, () => shims().length === wanted).catch((error: Error) => {
        throw new Error(`${error.message}: ${shims().join('\n')}`);
      });
    }
  };
  const rolled = async (mark: string) => {
    await fleet.ready();
    const after = await fleet.is('all to be proven, and no change under way', ({ state, change, scaled, pairs }) => {
      const isProven = pairs.length > 0 && pairs.every((pair) => pair.state === 'proven');
      return state === 'ready' && change === null && scaled.length === 0 && isProven;
    });
    expect(record().rolling ?? null).toBeNull();
    expect(new Set(marks(after))).toEqual(new Set([mark]));
    await nothingDouble(after);
    return after;
  };
  const nothingRunsOn = (name: string) =>
    waitFor(`nothing to run on ${name}`, () => fleet.host(name).processes().length === 0);

  it('restart --rolling: workers that span hosts restart as one, and nothing is lost', async () => {
    const before = await fleet.ready();
    expect(before.processes.map(({ name, host }) => `${name} ${host}`)).toEqual([
      ...['prefill-0 host-1', 'prefill-0-node1 host-2', 'prefill-1 host-1', 'prefill-1-node1 host-2'],
      ...['decode-0 host-1', 'decode-1 host-2', 'frontend host-1'],
    ]);
    const traffic = steadyLoad(before.endpoint, 3);
    await waitFor('load', () => traffic.answered() > 5, 60_000);
    const asked = await fleet.box.run('restart', '--rolling', 'prefill', 'decode');
    expect(asked.code, asked.stderr).toBe(0);
    const after = await rolled('one');
    expect(await traffic.end()).toEqual([]);
    for (const { name, pid } of before.processes.filter(isWorker)) expect(named(after, name).pid, name).not.toBe(pid);
    expect(named(after, 'frontend').pid).toBe(named(before, 'frontend').pid);
  });

  it('serve --rolling: another recipe, one worker at a time, those that span hosts as one; nothing is lost', async () => {
    const before = await fleet.ready();
    const traffic = steadyLoad(before.endpoint, 3);
    fleet.writeRecipe(workers('two'));
    const asked = await fleet.serve('--rolling');
    expect(asked.code, asked.stderr).toBe(0);
    const after = await rolled('two');
    expect(await traffic.end()).toEqual([]);
    expect(after.processes.map(({ name, host }) => `${name} ${host}`)).toEqual(
      before.processes.map(({ name, host }) => `${name} ${host}`),
    );
    expect(named(after, 'frontend').pid).toBe(named(before, 'frontend').pid);
  });

  it('a host that was not connected before takes part', async () => {
    const before = await fleet.ready();
    const traffic = steadyLoad(before.endpoint, 3);
    fleet.writeHosts(fleet.net.hosts);
    const known = await fleet.serve('--rolling');
    expect(known.code, known.stderr).toBe(0);
    expect(record().spareHosts?.map(({ name }) => name)).toEqual(['host-3']);
    expect(pidsOf(await fleet.ready())).toEqual(pidsOf(before));
    await nothingRunsOn('host-3');
    fleet.writeRecipe(workers('two', 3));
    const asked = await fleet.serve('--rolling');
    expect(asked.code, asked.stderr).toBe(0);
    const after = await rolled('two');
    expect(await traffic.end()).toEqual([]);
    expect(hostsOf(after)).toEqual(['host-1', 'host-2', 'host-3']);
    expect(named(after, 'decode-2').host).toBe('host-3');
    expect(pidsOf(after, 'decode-2')).toEqual(pidsOf(before));
  });

  it('a host that is no longer named is left, also by workers that spanned it; its agent ends', async () => {
    const before = await fleet.ready();
    const traffic = steadyLoad(before.endpoint, 3);
    fleet.writeHosts(fleet.net.hosts.filter(({ name }) => name !== 'host-2'));
    const dry = await fleet.serve('--rolling', '--dry-run');
    expect(dry.stdout).toContain('prefill-0: replaced by one on host-1, host-3');
    const asked = await fleet.serve('--rolling');
    expect(asked.code, asked.stderr).toBe(0);
    const after = await rolled('two');
    expect(await traffic.end()).toEqual([]);
    expect(hostsOf(after)).toEqual(['host-1', 'host-3']);
    await nothingRunsOn('host-2');
    expect(named(after, 'frontend').pid).toBe(named(before, 'frontend').pid);
  });

  it('the controller is killed while a worker is out: the same command again brings it to its end', async () => {
    const before = await fleet.ready();
    const host = hostOf(before, 'decode-1');
    host.run('touch /tmp/hang');
    const traffic = steadyLoad(before.endpoint, 3);
    fleet.writeRecipe(workers('three', 3));
    const asked = fleet.serve('--rolling');
    const midway = await fleet.is('the successor to start', ({ processes }) =>
      processes.some(
        ({ host: where, role, state }) => role === 'decode' && where === host.name && state === 'starting',
      ),
    );
    process.kill(supervisors(midway).controller, 'SIGKILL');
    expect((await asked).code).not.toBe(0);
    host.run('rm /tmp/hang');
    const again = await fleet.serve('--rolling');
    expect(again.code, again.stderr).toBe(0);
    await rolled('three');
    expect(await traffic.end()).toEqual([]);
  });

  it('the link to a host is cut while its worker is out: that is told, and it goes on by itself when the link is back', async () => {
    const before = await fleet.ready();
    const frontend = named(before, 'frontend').host;
    const { name } = before.processes.find((one) => one.role === 'decode' && one.host !== frontend)!;
    const host = hostOf(before, name);
    host.run('touch /tmp/hang');
    fleet.writeRecipe(workers('four', 3));
    const asked = fleet.serve('--rolling');
    await fleet.is('the successor to start', ({ processes }) =>
      processes.some((process) => process.name === name && process.state === 'starting'),
    );
    host.wire('cut');
    host.run('rm /tmp/hang');
    const told = await asked;
    expect(told.code).not.toBe(0);
    expect(told.stderr).toContain(`no agent answers on ${host.name}`);
    expect(told.stderr).toContain('It goes on by itself');
    host.wire('whole');
    const since = Date.now();
    await waitFor('the replacement to be done', () => (record().rolling ?? null) === null, 120_000).catch(
      (error: Error) => {
        throw new Error(`${error.message}: ${record().rolling?.problem}\n${fleet.events(since).join('\n')}`);
      },
    );
    await rolled('four');
  });

  it('stops without a trace on any host', () => fleet.stopsClean());
});
