import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf, TWO_OF_EACH, tell } from '../helpers/fleet.ts';
import { hasMooncake } from '../helpers/mooncake.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';

/**
 * The wall clock of every Node that runs on a host, off by what `/run/clock-offset` says in milliseconds. The kernel has no wall
 * clock of a namespace's own: a time namespace moves the monotonic and the boot clock only.
 */
const CLOCK = `import fs from 'node:fs';
const Real = Date;
let off = 0;
const look = () => { try { off = Number(fs.readFileSync('/run/clock-offset', 'utf8')) || 0; } catch { off = 0; } };
look();
setInterval(look, 20).unref();
globalThis.Date = class extends Real {
  constructor(...given) { if (given.length > 0) super(...given); else super(Real.now() + off); }
  static now() { return Real.now() + off; }
};
`;

/** Four hosts under a replay of a real trace, and what is around them fails: the store, a clock, a disk. */
describe.skipIf(!hasTestHosts || !hasEtcd || !hasMooncake)('a store, a clock and a disk that fail under load', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 4,
      workers: TWO_OF_EACH,
      ttl: '6s', // so long a store is missed before that is told
      entry: { env: { NODE_OPTIONS: '--import=/run/clock.mjs' }, stateDir: '/run/small/state' },
    });
    for (const host of fleet.net.hosts) {
      host.run('cat > /run/clock.mjs', CLOCK);
      host.run('mkdir /run/small; mount -t tmpfs -o size=16m tmpfs /run/small');
    }
    await fleet.served();
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  const storeIsAway = () =>
    fleet.is('every agent to miss the store', ({ agents }) =>
      agents.every(({ storeProblem }) => storeProblem !== null),
    );

  it('etcd stopped and back, suspended and back, wiped: nothing is lost, nothing is restarted', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    const { etcd } = fleet.store;
    await etcd.kill();
    await storeIsAway();
    await etcd.up();
    await fleet.ready();
    etcd.pause();
    try {
      await storeIsAway();
    } finally {
      etcd.resume();
    }
    await fleet.ready();
    await etcd.wipe();
    const after = await fleet.ready();
    const seen = tell('etcd stopped, suspended, wiped', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
  });

  it('etcd cut off from one host alone: its workers serve on, what dies there comes back once the store is there again', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    const worker = named(before, 'prefill-1');
    const { hostname, port } = new URL(fleet.store.endpoint);
    // Nothing else of that host is cut: neither SSH, which comes from the same address, nor its workers' data.
    const partition = (verb: 'add' | 'del') =>
      fleet.host(worker.host).run(`ip rule ${verb} to ${hostname} ipproto tcp dport ${port} blackhole`);
    partition('add');
    try {
      await fleet.is('that agent alone to miss the store', ({ agents }) =>
        agents.every(({ host, storeProblem }) => (storeProblem !== null) === (host === worker.host)),
      );
      fleet.kill(worker);
      await fleet.is('it to wait for the store', (now) => {
        const { state, pid } = named(now, 'prefill-1');
        return state === 'starting' && pid !== null && pid !== worker.pid;
      });
    } finally {
      partition('del');
    }
    const after = await fleet.ready();
    const seen = tell('etcd cut off from one host', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after, 'prefill-1')).toEqual(pidsOf(before, 'prefill-1'));
    expect(named(after, 'prefill-1').restarts).toBe(worker.restarts + 1);
  });

  it.each([-3_600_000, 3_600_000])(
    'the clock of one host off by %i ms: nothing is lost or restarted, its events still come',
    async (off) => {
      const before = await fleet.ready();
      const load = await fleet.load(before.endpoint);
      const { host } = named(before, 'decode-1');
      const agent = before.agents.find((one) => one.host === host)!;
      fleet.host(host).run(`echo ${off} > /run/clock-offset`);
      // Longer than any TTL or backoff is what an hour is; another agent starts under the new time.
      fleet.kill(agent);
      await fleet.is('another agent', ({ agents }) =>
        agents.some((one) => one.host === host && one.pid !== null && one.pid !== agent.pid),
      );
      const after = await fleet.ready();
      const seen = tell(`clock moved by ${off} ms`, await load.end());
      expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
      expect(pidsOf(after)).toEqual(pidsOf(before));
      const { pid } = after.agents.find((one) => one.host === host)!;
      await fleet.is('its event to be here', () =>
        fleet.box.events('fleet').some(({ message }) => message.startsWith(`agent pid ${pid} up`)),
      );
    },
  );

  it('the disk of one host full: serving goes on, a worker that dies comes back when there is room', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    const host = fleet.host(named(before, 'prefill-1').host);
    host.run(
      'dd if=/dev/zero of=/run/small/filler bs=1M 2>/dev/null; dd if=/dev/zero of=/run/small/more bs=1k 2>/dev/null; true',
    );
    fleet.kill(named(before, 'prefill-1'));
    await fleet.is('prefill-1 to be missed', (now) => named(now, 'prefill-1').state !== 'ready');
    host.run('rm /run/small/filler /run/small/more');
    const after = await fleet.ready();
    const seen = tell('disk of a prefill host full', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after, 'prefill-1')).toEqual(pidsOf(before, 'prefill-1'));
  });

  it('stops without a trace while a disk is full', async () => {
    const view = await fleet.ready();
    const host = fleet.host(named(view, 'decode-1').host);
    host.run(
      'dd if=/dev/zero of=/run/small/filler bs=1M 2>/dev/null; dd if=/dev/zero of=/run/small/more bs=1k 2>/dev/null; true',
    );
    await fleet.stopsClean();
  });
});
