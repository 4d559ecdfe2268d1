import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { Etcd3 } from 'etcd3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DynamoError } from '../../src/base/errors.ts';
import { createDiscovery } from '../../src/discovery/create-discovery.ts';
import type { Discovery, DiscoveryOptions } from '../../src/discovery/discovery.ts';
import type { EtcdSpec } from '../../src/discovery/etcd-settings.ts';
import { EtcdServer, hasEtcd } from '../helpers/etcd-server.ts';
import { EventLog } from '../helpers/event-log.ts';
import { freePort } from '../helpers/free-port.ts';
import { makeInstance } from '../helpers/instance.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

const fixture = (name: string) => path.resolve(import.meta.dirname, '../fixtures/discovery', name);
const commitOf = (planHash: string, generation = 1) => ({ deployment: 'demo', generation, planHash, epoch: 1 });

describe.skipIf(!hasEtcd)('Discovery in etcd', () => {
  let etcd: EtcdServer;
  let cleanup: AsyncDisposableStack;

  beforeAll(async () => {
    etcd = await EtcdServer.start();
  });
  afterAll(() => etcd[Symbol.asyncDispose]());
  beforeEach(() => {
    cleanup = new AsyncDisposableStack();
  });
  afterEach(async () => {
    await cleanup.disposeAsync();
    await administer((client) => client.delete().all());
  });

  const open = async (spec: Partial<EtcdSpec> = {}, options: Partial<DiscoveryOptions> = {}): Promise<Discovery> =>
    cleanup.use(
      await createDiscovery(
        { backend: 'etcd', endpoints: [etcd.url], ...spec },
        { deployment: 'demo', ttlMs: 300, ...options },
      ),
    );
  const errorOf = (spec: Partial<EtcdSpec>): Promise<DynamoError> =>
    open(spec).then(
      () => expect.unreachable('it opened'),
      (error: unknown) => {
        expect(error).toBeInstanceOf(DynamoError);
        return error as DynamoError;
      },
    );
  /** The answer of a handle that may find its way to the store a moment later than another one did. */
  const answered = <T extends object>(work: () => Promise<T>): Promise<T> =>
    waitFor('an answer', () =>
      work().catch((error: unknown) => {
        if ((error as DynamoError).code !== 'DISCOVERY_UNREACHABLE') throw error;
        return undefined;
      }),
    );
  const follow = async (discovery?: Discovery): Promise<EventLog> => {
    const log = new EventLog(discovery ?? (await open()));
    cleanup.defer(() => log.stop());
    return log;
  };
  const administer = async <T>(work: (client: Etcd3) => PromiseLike<T>): Promise<T> => {
    const client = new Etcd3({ hosts: etcd.url });
    try {
      return await work(client);
    } finally {
      client.close();
    }
  };
  const start = (file: string, args: string[]): ChildProcess => {
    const child = spawn(process.execPath, [fixture(file), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    cleanup.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    return child;
  };

  describe('when the server', () => {
    it('is killed and comes back with its data: nothing is taken down, and what was committed stands', async () => {
      // A TTL that an etcd just started may use half of for its first answers.
      const calm = { ttlMs: 6_000 };
      const owner = await open({}, calm);
      await owner.register(makeInstance('decode-0'), {});
      await owner.commit(commitOf('first'));
      const log = await follow(await open({}, calm));
      await log.saw('synced');
      await etcd.kill();
      await log.saw('store failed');
      const message = `etcd at ${etcd.url} cannot be used: connection refused`;
      for (const call of [() => owner.list(), () => owner.readCommit(1), () => owner.commit(commitOf('second', 2))]) {
        await expect(call()).rejects.toMatchObject({ code: 'DISCOVERY_UNREACHABLE' });
        // At first the connection may be one that was just closed.
        await waitFor('the reason', () =>
          call().then(
            () => expect.unreachable('it answered'),
            (error: Error) => error.message === message,
          ),
        );
      }
      await etcd.up();
      await log.saw('store back');
      expect(await answered(() => owner.commit(commitOf('late')))).toEqual(commitOf('first'));
      await answered(() => owner.register(makeInstance('decode-1'), {}));
      await log.saw('upsert decode-1 1 ready');
      expect(log.lines.filter((line) => /lapsed|removed/.test(line))).toEqual([]);
    });

    it('is wiped: instances register again, and an absent commit record proves nothing', async () => {
      const owner = await open();
      await owner.register(makeInstance('decode-0'), {});
      await owner.commit(commitOf('first'));
      const log = await follow();
      await log.saw('synced');
      await etcd.wipe();
      await waitFor('the record', async () => {
        const listing = await owner.list().catch(() => undefined);
        return listing?.instances.length === 1;
      });
      expect(log.live.has('decode-0')).toBe(true);
      expect(log.lines).not.toContain('removed decode-0 1');
      const inDoubt = { code: 'DISCOVERY_UNREACHABLE' };
      await expect(owner.readCommit(1)).rejects.toMatchObject({
        ...inDoubt,
        message: expect.stringMatching(/has lost/),
      });
      // Somebody who opens it now does not speak for who saw it before.
      const later = await open();
      expect(await later.readCommit(1)).toBeUndefined();
      await expect(owner.readCommit(1)).rejects.toMatchObject({
        ...inDoubt,
        message: expect.stringMatching(/was wiped/),
      });
      await later.commit(commitOf('first'));
      expect(await owner.readCommit(1)).toEqual(commitOf('first'));
    });

    it('is away when a process comes up, it can wait for it', async () => {
      await (await open()).register(makeInstance('decode-0'), {});
      await etcd.kill();
      expect((await errorOf({})).code).toBe('DISCOVERY_UNREACHABLE');
      const waiting = await open({}, { mayBeAway: true });
      const log = await follow(waiting);
      await log.saw('store failed');
      expect(log.lines).not.toContain('synced');
      await etcd.up();
      await log.saw('synced');
      expect(log.live.has('decode-0')).toBe(true);
      expect(await waiting.readCommit(1)).toBeUndefined();
    });

    it('stops answering and then goes on', async () => {
      const owner = await open();
      const lease = await owner.register(makeInstance('decode-0'), {});
      const log = await follow();
      await log.saw('synced');
      etcd.pause();
      cleanup.defer(() => etcd.resume());
      expect(await lease.lost).toMatchObject({ code: 'LEASE_LOST' });
      await expect(owner.list()).rejects.toMatchObject({ message: expect.stringMatching(/no answer in time/) });
      await log.saw('store failed');
      etcd.resume();
      await log.saw('store back');
      await answered(() => owner.register(makeInstance('decode-1'), {}));
      await log.saw('upsert decode-1 1 ready');
      expect(log.lines).not.toContain('removed decode-0 1');
    });

    it('compacts away what a watch has not seen, the watch goes on', async () => {
      const owner = await open({}, { ttlMs: 60_000 });
      const log = await follow(await open({}, { ttlMs: 60_000 }));
      await log.saw('synced');
      const compact = () =>
        administer(async (client) => {
          const { header } = await client.kv.range({ key: Buffer.from('x') });
          await client.kv.compact({ revision: header.revision, physical: true });
        });
      await owner.register(makeInstance('decode-0'), {});
      await compact();
      await owner.register(makeInstance('decode-1'), {});
      await log.saw('upsert decode-1 1 ready');
      // While the watch is cut off.
      await etcd.kill();
      await etcd.up();
      await answered(() => owner.register(makeInstance('decode-2'), {}));
      await (await owner.register(makeInstance('decode-0', 2), {})).release();
      await compact();
      await log.saw('upsert decode-2 1 ready');
      await log.saw('removed decode-0 1');
      await owner.register(makeInstance('decode-3'), {});
      await log.saw('upsert decode-3 1 ready');
    });

    it('is full, it says so', async () => {
      await using full = await EtcdServer.start(['--quota-backend-bytes', '1000000']);
      const discovery = await open({ endpoints: [full.url] });
      await using stack = new AsyncDisposableStack();
      const client = stack.adopt(new Etcd3({ hosts: full.url }), (it) => it.close());
      const fill = async () => {
        for (;;) await client.put('ballast').value('x'.repeat(400_000));
      };
      await expect(fill()).rejects.toThrow(/exceeded/);
      await expect(discovery.register(makeInstance('decode-0'), {})).rejects.toMatchObject({
        code: 'DISK_FULL',
        hint: expect.stringMatching(/alarm disarm/),
      });
      // Reading goes on.
      expect((await discovery.list()).instances).toEqual([]);
    });
  });

  describe('between processes', () => {
    it('lets one of two commit each generation', async () => {
      const racers = ['a', 'b'].map((hash) => start('commit-racer.ts', [etcd.url, 'demo', '1', '100', hash]));
      await Promise.all(racers.map((racer) => once(racer.stdout!, 'readable')));
      for (const racer of racers) expect(String(racer.stdout!.read())).toBe('ready\n');
      for (const racer of racers) racer.stdin!.end('go\n');
      const answers = await Promise.all(racers.map(async (racer) => JSON.parse(await text(racer.stdout!))));
      expect(answers[0].length).toBe(100);
      expect(answers[1]).toEqual(answers[0]);
    });

    it('sees an owner that is killed lapse, and keeps its record', async () => {
      const observer = await open();
      const log = await follow(observer);
      const owner = start('owner.ts', [etcd.url, '300']);
      await log.saw('upsert decode-0 1 ready');
      owner.kill('SIGKILL');
      await log.saw('lapsed decode-0 1');
      expect((await observer.list()).instances.length).toBe(1);
      expect(log.lines).not.toContain('removed decode-0 1');
    });

    it('leaves nothing that keeps a process alive', async () => {
      const child = start('quiet-end.ts', [etcd.url]);
      expect(JSON.parse(await text(child.stdout!))).toEqual([]);
      if (child.exitCode === null) await once(child, 'exit');
      expect(child.exitCode).toBe(0);
    });
  });

  it('keeps what is refreshed beyond its etcd lease, and collects what is not', async () => {
    const owner = await open({ leaseTtlSeconds: 4 });
    await owner.register(makeInstance('decode-0'), {});
    await owner.commit(commitOf('first'));
    const observer = await open();
    const key = '/dynamo/demo/records/instance.decode-0.1';
    const leaseOf = () => administer(async (client) => (await client.get(key).exec()).kvs[0]?.lease);
    const first = await leaseOf();
    const log = await follow(observer);
    await waitFor('another lease', async () => (await leaseOf()) !== first);
    await waitFor('the first lease to end', () =>
      administer(async (client) => (await client.leaseClient.leaseTimeToLive({ ID: first! })).TTL === '-1'),
    );
    // Beyond four seconds of silence it is collected, and the next refresh puts it back.
    await waitFor('the record', async () => (await observer.list()).instances.length === 1);
    await owner[Symbol.asyncDispose]();
    await waitFor('the record to be collected', async () => (await observer.list()).instances.length === 0);
    expect(log.lines).not.toContain('removed decode-0 1');
    expect(await observer.readCommit(1)).toEqual(commitOf('first'));
  });

  it('lists more than one page', async () => {
    const discovery = await open();
    await administer(async (client) => {
      for (let page = 0; page < 12; page += 1) {
        const keys = Array.from({ length: 100 }, (_, index) => `/dynamo/demo/records/stray-${page}-${index}`);
        const puts = keys.map((key) => ({ request_put: { key: Buffer.from(key), value: Buffer.from('x') } }));
        await client.kv.txn({ success: puts });
      }
    });
    expect(new Set((await discovery.list()).unreadable.map(({ key }) => key)).size).toBe(1_200);
  });

  it('uses the members that answer', async () => {
    const discovery = await open({ endpoints: [`http://127.0.0.1:${await freePort()}`, etcd.url] });
    await discovery.register(makeInstance('decode-0'), {});
    const log = await follow(discovery);
    await log.saw('upsert decode-0 1 ready');
    await discovery.register(makeInstance('decode-1'), {});
    await log.saw('upsert decode-1 1 ready');
  });

  describe('refuses with a hint', () => {
    it('an address where no etcd is', async () => {
      const url = `http://127.0.0.1:${await freePort()}`;
      const refused = await errorOf({ endpoints: [url] });
      expect(refused.message).toBe(`etcd at ${url} cannot be used: connection refused`);
      expect(refused.hint).toMatch(/etcdctl endpoint health/);
      const unknown = await errorOf({ endpoints: ['http://no-such-host.invalid:2379'] });
      expect(unknown).toMatchObject({
        code: 'DISCOVERY_UNREACHABLE',
        message: expect.stringMatching(/cannot be resolved/),
      });
    });

    it('a wrong user, a wrong password, none, and one without permission', async () => {
      // Each check of a password takes a while by intention; here as little as can be had.
      await using guarded = await EtcdServer.start(['--bcrypt-cost', '4']);
      const admin = new Etcd3({ hosts: guarded.url });
      await admin.auth.roleAdd({ name: 'dynamo' });
      const range = { key: Buffer.from('/dynamo/'), range_end: Buffer.from('/dynamo0') };
      await admin.auth.roleGrantPermission({ name: 'dynamo', perm: { permType: 'Readwrite', ...range } });
      await admin.auth.userAdd({ name: 'root', password: 'r' });
      await admin.auth.userAdd({ name: 'dynamo', password: 'secret' });
      await admin.auth.userGrantRole({ user: 'root', role: 'root' });
      await admin.auth.userGrantRole({ user: 'dynamo', role: 'dynamo' });
      await admin.auth.authEnable();
      admin.close();
      using tmp = tmpDir();
      const file = path.join(tmp.dir, 'password');
      await writeFile(file, 'secret\n');
      const wrong = path.join(tmp.dir, 'wrong');
      await writeFile(wrong, 'guess');
      const endpoints = [guarded.url];
      const [user, password] = ['dynamo', { file }];
      expect((await errorOf({ endpoints, user, password: { file: wrong } })).message).toMatch(
        /refuses the user dynamo/,
      );
      expect((await errorOf({ endpoints, user: 'nobody', password })).message).toMatch(/refuses the user nobody/);
      expect((await errorOf({ endpoints })).message).toMatch(/wants a user/);
      const denied = await errorOf({ endpoints, user, password, prefix: '/elsewhere' });
      expect(denied.message).toMatch(/does not let dynamo use/);
      expect(denied.hint).toMatch(/grant-permission/);
      const discovery = await open({ endpoints, user, password });
      const log = await follow(discovery);
      await log.saw('synced');
      await discovery.register(makeInstance('decode-0'), {});
      await log.saw('upsert decode-0 1 ready');
      // Its tokens are forgotten with it: the client gets another.
      await guarded.kill();
      await guarded.up();
      await answered(() => discovery.register(makeInstance('decode-1'), {}));
      await log.saw('upsert decode-1 1 ready');
      expect((await errorOf({ user, password })).message).toMatch(/authentication is not enabled/);
    });

    it('a certificate it does not trust; with the right files it works', async () => {
      using tmp = tmpDir();
      const at = (name: string) => path.join(tmp.dir, name);
      const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
      for (const own of ['server', 'other']) {
        const files = ['-keyout', at(`${own}.key`), '-out', at(`${own}.crt`)];
        execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...name], {
          stdio: 'ignore',
        });
      }
      const [caFile, keyFile] = [at('server.crt'), at('server.key')];
      await using secure = await EtcdServer.start([
        ...['--cert-file', caFile, '--key-file', keyFile],
        ...['--client-cert-auth', '--trusted-ca-file', caFile],
      ]);
      const endpoints = [secure.url];
      const distrusted = await errorOf({ endpoints, tls: { caFile: at('other.crt') } });
      expect(distrusted.message).toMatch(/certificate/);
      expect(distrusted.hint).toMatch(/TLS files/);
      // No client certificate: the server hangs up.
      expect((await errorOf({ endpoints, tls: { caFile } })).code).toBe('DISCOVERY_UNREACHABLE');
      const discovery = await open({ endpoints, tls: { caFile, certFile: caFile, keyFile } });
      await discovery.register(makeInstance('decode-0'), {});
      await (await follow(discovery)).saw('upsert decode-0 1 ready');
    });
  });
});
