import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRecord } from '../../src/deployment/record.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { deploymentPaths } from '../../src/deployment/state-dir.ts';
import { readStat } from '../../src/supervise/identity.ts';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { EtcdCluster } from '../helpers/etcd-cluster.ts';
import { EtcdServer, hasEtcd } from '../helpers/etcd-server.ts';
import { waitFor } from '../helpers/until.ts';

const COMMON = [
  ...['serve', 'quickstart', '--detach', '--set', 'frontend.port=auto', '--set', 'discovery.ttl=1s'],
  ...['--set', 'discovery.backend=etcd'],
  ...['--set', 'workers.decode.restart={initialBackoff: 100ms, maxBackoff: 500ms, maxRestarts: 100}'],
  ...['--set', 'frontend.restart={initialBackoff: 100ms, maxBackoff: 500ms, maxRestarts: 100}'],
];

const named = (snapshot: DeploymentSnapshot, name: string): ProcessSnapshot =>
  snapshot.processes.find((process) => process.name === name)!;
const pidsOf = (snapshot: DeploymentSnapshot, except: readonly string[] = []) =>
  snapshot.processes.filter(({ name }) => !except.includes(name)).map(({ name, pid }) => `${name} ${pid}`);

async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitFor(`pid ${pid} to be gone`, () => ['Z', undefined].includes(readStat(pid)?.state));
}

async function serving(endpoint: string, ms: number): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) await ask(endpoint);
}

describe.skipIf(!hasEtcd)('discovery in etcd, by the command line', () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box[Symbol.asyncDispose]());

  const statusIs = (what: string, test: (snapshot: DeploymentSnapshot) => boolean) =>
    waitFor(what, async () => {
      const snapshot = await box.status();
      return test(snapshot) ? snapshot : undefined;
    });

  it('serves through an etcd that runs already: away, suspended, wiped and back; a stop leaves nothing in it', async () => {
    await using etcd = await EtcdServer.start();
    await using stack = new AsyncDisposableStack();
    const client = stack.adopt(new Etcd3({ hosts: etcd.url }), (it) => it.close());
    const keys = () => client.getAll().keys();
    expect(await box.run(...COMMON, '--set', `discovery.endpoints=${etcd.url}`)).toMatchObject({ code: 0, stderr: '' });
    const before = await box.ready();
    await ask(before.endpoint);

    // The commit is one transaction: written once, without a lease, and by nobody else.
    const record = readRecord(deploymentPaths(box.deploymentDir()).record)!;
    const { kvs } = await client.get(`/dynamo/quickstart/records/commit.${record.generation}`).exec();
    expect(kvs[0]).toMatchObject({ version: '1', lease: '0' });
    expect(JSON.parse(kvs[0]!.value.toString())).toMatchObject({ planHash: record.planHash, epoch: 1 });
    await waitFor(
      'five instances',
      async () => (await keys()).filter((key) => key.includes('/instance.')).length === 5,
    );

    // Away: tokens flow past the TTL, status says so, nothing is restarted.
    await etcd.kill();
    await serving(before.endpoint, 2_500);
    const refused = `etcd at ${etcd.url} cannot be used: connection refused`;
    const away = await statusIs('status to show it', ({ agents }) => agents[0]!.storeProblem === refused);
    expect(pidsOf(away)).toEqual(pidsOf(before));
    expect((await box.run('status', 'quickstart')).stdout).toMatch(
      /The discovery store is away for local: .* Serving goes on/,
    );

    // A worker and the frontend die meanwhile: both come up, are not blamed, and say what they wait for.
    await kill(named(away, 'decode-0').pid!);
    await serving(before.endpoint, 500);
    await kill(named(away, 'frontend').pid!);
    for (const name of ['decode-0', 'frontend'])
      await statusIs(`${name} to wait`, (now) => /^the discovery store: etcd/.test(named(now, name).waitingFor ?? ''));
    await etcd.up();
    const back = await box.ready();
    expect(pidsOf(back, ['decode-0', 'frontend'])).toEqual(pidsOf(before, ['decode-0', 'frontend']));
    expect(named(back, 'frontend').restarts).toBe(1);
    expect(named(back, 'decode-0').restarts).toBe(1);
    await ask(back.endpoint);
    await statusIs('status to show nothing', ({ agents }) => agents[0]!.storeProblem === null);

    // It stops answering without closing anything.
    etcd.pause();
    try {
      await serving(back.endpoint, 2_500);
      await statusIs('status to show it', ({ agents }) => /no answer in time/.test(agents[0]!.storeProblem ?? ''));
    } finally {
      etcd.resume();
    }
    await statusIs('status to show nothing', ({ agents }) => agents[0]!.storeProblem === null);

    // It loses everything: all of it is registered again.
    await etcd.wipe();
    await serving(back.endpoint, 500);
    await waitFor('the records to be back', async () => (await keys().catch(() => [])).length >= 5);
    const after = await box.ready();
    expect(pidsOf(after)).toEqual(pidsOf(back));
    await ask(after.endpoint);

    expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
    await waitFor('nothing to be left', () => box.processes().length === 0);
    expect(await keys()).toEqual([]);
  });

  it('runs etcd itself: it is restarted with its data while tokens flow, and goes with the deployment', async () => {
    const serve = [...COMMON, '--set', 'discovery.managed=true'];
    expect(await box.run(...serve)).toMatchObject({ code: 0, stderr: '' });
    const before = await box.ready();
    const etcd = named(before, 'etcd');
    const data = path.join(box.deploymentDir(), 'discovery', 'etcd');
    expect(existsSync(data)).toBe(true);
    await kill(etcd.pid!);
    await serving(before.endpoint, 500);
    const back = await statusIs(
      'etcd to be back',
      (now) => named(now, 'etcd').state === 'ready' && named(now, 'etcd').pid !== etcd.pid,
    );
    await statusIs('the store to be back', ({ agents }) => agents[0]!.storeProblem === null);
    await serving(back.endpoint, 1_500);
    // Registered in it before and after.
    const victim = named(back, 'decode-0').pid;
    await kill(victim!);
    await statusIs('decode-0 to be back', (now) => {
      const { state, pid } = named(now, 'decode-0');
      return state === 'ready' && pid !== null && pid !== victim;
    });
    const after = await box.ready();
    expect(pidsOf(after, ['decode-0', 'etcd'])).toEqual(pidsOf(before, ['decode-0', 'etcd']));

    // Controller and agent die with it: the next serve adopts all of it.
    const { controller, agents } = after;
    await kill(controller!.pid);
    await kill(agents[0]!.pid!);
    await kill(named(after, 'etcd').pid!);
    await serving(after.endpoint, 500);
    expect(await box.run(...serve)).toMatchObject({ code: 0, stderr: '' });
    const adopted = await box.ready();
    expect(adopted.generation).toBe(before.generation);
    expect(pidsOf(adopted, ['etcd'])).toEqual(pidsOf(after, ['etcd']));
    await ask(adopted.endpoint);

    expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
    await waitFor('nothing to be left', () => box.processes().length === 0);
    expect(existsSync(data)).toBe(false);
    const gone = await fetch(`${etcd.url}/health`).catch(() => undefined);
    expect(gone).toBeUndefined();
  });

  it('takes back a start whose own etcd died with its controller, and starts the next', async () => {
    const serve = [...COMMON, '--set', 'discovery.managed=true', '--set', 'startLease=60s'];
    box.env['DYNAMO_CRASH_AT'] = 'ready:after';
    expect((await box.run(...serve)).code).not.toBe(0);
    delete box.env['DYNAMO_CRASH_AT'];
    const lost = await box.status();
    const agent = lost.agents[0]?.pid;
    if (agent) await kill(agent);
    expect(await box.run(...serve)).toMatchObject({ code: 0 });
    const after = await box.ready();
    expect(after.generation).toBeGreaterThan(1);
    await ask(after.endpoint);
    expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
  });

  it('logs in with a password that is named; a shell without it can still look and stop', async () => {
    await using etcd = await EtcdServer.start();
    await using stack = new AsyncDisposableStack();
    const admin = stack.adopt(new Etcd3({ hosts: etcd.url }), (it) => it.close());
    await admin.auth.userAdd({ name: 'root', password: 'r00t' });
    await admin.auth.userGrantRole({ user: 'root', role: 'root' });
    await admin.auth.authEnable();
    const login = [
      ...['--set', `discovery.endpoints=${etcd.url}`, '--set', 'discovery.user=root'],
      ...['--set', 'discovery.password={ fromEnv: ETCD_PASSWORD }'],
    ];
    const without = await box.run(...COMMON, ...login);
    expect(without.code).toBe(4);
    expect(without.stderr).toContain('the variable ETCD_PASSWORD with the etcd password is not set');
    box.env['ETCD_PASSWORD'] = 'guess';
    const wrong = await box.run(...COMMON, ...login);
    expect(wrong.code).toBe(7);
    expect(wrong.stderr).toContain('refuses the user root');
    box.env['ETCD_PASSWORD'] = 'r00t';
    expect(await box.run(...COMMON, ...login)).toMatchObject({ code: 0, stderr: '' });
    const snapshot = await box.ready();
    await ask(snapshot.endpoint);
    delete box.env['ETCD_PASSWORD'];
    await kill(snapshot.controller!.pid);
    await kill(snapshot.agents[0]!.pid!);
    expect((await box.run('status', 'quickstart')).code).toBe(0);
    const stop = await box.run('stop', 'quickstart');
    expect(stop).toMatchObject({ code: 0, stdout: 'quickstart is stopped; no process is left\n' });
    expect(stop.stderr).toMatch(/^records of quickstart stay in the store: the variable ETCD_PASSWORD/);
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });

  it('serves through three members and goes on without their leader', async () => {
    await using cluster = await EtcdCluster.start();
    const endpoints = ['--set', `discovery.endpoints=[${cluster.urls.join(', ')}]`];
    expect(await box.run(...COMMON, ...endpoints)).toMatchObject({ code: 0, stderr: '' });
    const before = await box.ready();
    await (await cluster.leader()).kill();
    await serving(before.endpoint, 2_500);
    await kill(named(before, 'decode-0').pid!);
    const after = await statusIs('decode-0 to be back', (now) => {
      const { state, restarts } = named(now, 'decode-0');
      return state === 'ready' && restarts === 1;
    });
    expect(pidsOf(after, ['decode-0'])).toEqual(pidsOf(before, ['decode-0']));
    await ask(after.endpoint);
    expect(await box.run('stop', 'quickstart')).toMatchObject({ code: 0, stderr: '' });
  });

  it('speaks TLS with a certificate of its own', async () => {
    const tls = (name: string) => path.join(box.home, '..', name);
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', tls('key.pem'), '-out', tls('cert.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...subject], {
      stdio: 'ignore',
    });
    await using etcd = await EtcdServer.start([
      ...['--cert-file', tls('cert.pem'), '--key-file', tls('key.pem')],
      ...['--client-cert-auth', '--trusted-ca-file', tls('cert.pem')],
    ]);
    const serve = [...COMMON, '--set', `discovery.endpoints=${etcd.url}`];
    const without = await box.run(...serve);
    expect(without.code).toBe(7);
    expect(without.stderr).toMatch(/certificate.*DISCOVERY_UNREACHABLE/);
    const pem = `{ caFile: ${tls('cert.pem')}, certFile: ${tls('cert.pem')}, keyFile: ${tls('key.pem')} }`;
    expect(await box.run(...serve, '--set', `discovery.tls=${pem}`)).toMatchObject({ code: 0 });
    const snapshot = await box.ready();
    await ask(snapshot.endpoint);
    expect((await box.run('stop', 'quickstart')).code).toBe(0);
  });
});
