import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDiscovery } from '../../src/discovery/create-discovery.ts';
import type { Discovery } from '../../src/discovery/discovery.ts';
import { EtcdCluster } from '../helpers/etcd-cluster.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { EventLog } from '../helpers/event-log.ts';
import { makeInstance } from '../helpers/instance.ts';
import { waitFor } from '../helpers/until.ts';

const TTL_MS = 1_000;
const commitOf = (generation: number) => ({ deployment: 'demo', generation, planHash: 'hash', epoch: 1 });

describe.skipIf(!hasEtcd)('Discovery in an etcd of three members', () => {
  let cluster: EtcdCluster;
  let cleanup: AsyncDisposableStack;
  let owner: Discovery;
  let log: EventLog;
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    cluster = cleanup.use(await EtcdCluster.start());
    const open = async () =>
      cleanup.use(
        await waitFor('the store', () =>
          createDiscovery({ backend: 'etcd', endpoints: cluster.urls }, { deployment: 'demo', ttlMs: TTL_MS }).catch(
            () => undefined,
          ),
        ),
      );
    owner = await open();
    await untilDone('a registration', () => owner.register(makeInstance('decode-0'), {}));
    log = new EventLog(await open());
    cleanup.defer(() => log.stop());
    await log.saw('synced');
  });
  afterEach(() => cleanup.disposeAsync());

  const untilDone = (what: string, work: () => Promise<unknown>) =>
    waitFor(what, () =>
      work().then(
        () => true,
        () => undefined,
      ),
    );

  /** A member that is late, or an election, costs an answer. */
  const untilRead = (generation: number) =>
    waitFor('the commit record', () => owner.readCommit(generation).catch(() => undefined));

  it('goes on without its leader: records, watches and commits', async () => {
    await untilDone('a commit', () => owner.commit(commitOf(1)));
    const leader = await cluster.leader();
    await leader.kill();
    await untilDone('a commit under the next leader', () => owner.commit(commitOf(2)));
    expect(await untilRead(1)).toEqual(commitOf(1));
    await untilDone('a registration', () => owner.register(makeInstance('decode-1'), {}));
    await log.saw('upsert decode-1 1 ready');
    expect(log.lines).not.toContain('removed decode-0 1');
    expect(await cluster.leader()).not.toBe(leader);
    await leader.up();
    await untilDone('a registration', () => owner.register(makeInstance('decode-2'), {}));
    await log.saw('upsert decode-2 1 ready');
  });

  it('cannot know anything without a majority, takes nothing down, and goes on with one', async () => {
    await untilDone('a commit', () => owner.commit(commitOf(1)));
    const [one, two] = cluster.members;
    await one!.kill();
    await two!.kill();
    await log.saw('store failed');
    await expect(owner.readCommit(1)).rejects.toMatchObject({ code: 'DISCOVERY_UNREACHABLE' });
    await expect(owner.commit(commitOf(2))).rejects.toMatchObject({ code: 'DISCOVERY_UNREACHABLE' });
    // A member without a majority answers its health check only once it has one again.
    await one!.up();
    await log.saw('store back');
    await untilDone('a commit', () => owner.commit(commitOf(2)));
    expect(log.lines).not.toContain('removed decode-0 1');
    const { instances } = await waitFor('the list', () => owner.list().catch(() => undefined));
    expect(instances.map(({ name }) => name)).toEqual(['decode-0']);
  });
});
