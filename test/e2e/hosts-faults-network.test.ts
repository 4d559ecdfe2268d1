import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf, TWO_OF_EACH, tell } from '../helpers/fleet.ts';
import { hasMooncake } from '../helpers/mooncake.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** Four hosts under a replay of a real trace, and a host that cannot be reached, is lost, or comes back as new. */
describe.skipIf(!hasTestHosts || !hasEtcd || !hasMooncake)('links and hosts that fail under load', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 4,
      workers: TWO_OF_EACH,
      // What discovery has forgotten is suspect no more.
      ttl: '30s',
    });
    await fleet.served();
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  const lost = (host: string) =>
    fleet.is(`no line to ${host}`, ({ agents }) => agents.some((agent) => agent.host === host && agent.pid === null));

  it('the SSH link: nothing is lost, nothing is restarted, the same agent answers again', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    const host = fleet.host(named(before, 'decode-1').host);
    host.killSshd();
    await lost(host.name);
    await host.startSshd();
    const after = await fleet.ready();
    const seen = tell('SSH link cut', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.agents.map(({ pid }) => pid)).toEqual(before.agents.map(({ pid }) => pid));
  });

  it.each(['prefill-1', 'decode-1'])(
    'every packet of the host of %s: the others serve, it is suspect meanwhile, nothing is restarted, all is whole when it is back',
    async (name) => {
      const before = await fleet.ready();
      const since = Date.now();
      const load = await fleet.load(before.endpoint);
      const { host } = named(before, name);
      fleet.host(host).wire('cut');
      try {
        await fleet.is(`${name} to be suspect`, ({ suspicions }) =>
          suspicions!.some(({ worker, why }) => worker === name && why === 'silent'),
        );
        const told = new RegExp(`^${name} is suspect for frontend: silent for .* requests go elsewhere`, 'm');
        await waitFor('status to tell', async () => told.test((await fleet.box.run('status', 'fleet')).stdout));
        await lost(host);
      } finally {
        fleet.host(host).wire('whole');
      }
      await fleet.is(`${name} to be trusted`, ({ suspicions }) => suspicions!.length === 0);
      const after = await fleet.ready();
      const seen = tell(`network of the host of ${name} cut`, await load.end());
      expect(seen.lostUnsent).toEqual([]);
      if (name === 'prefill-1') expect(seen.cutMidway).toEqual([]);
      expect(pidsOf(after, name)).toEqual(pidsOf(before, name));
      expect(fleet.events(since, 'suspect').join()).toContain(`${name} is suspect for frontend: silent for`);
      expect(fleet.events(since, 'trusted').join()).toContain(`frontend suspects ${name} no more`);
    },
  );

  it('a worker that is stopped for some seconds: it is not suspect, and answers late', async () => {
    const before = await fleet.ready();
    const since = Date.now();
    const load = await fleet.load(before.endpoint);
    const { host, pid } = named(before, 'prefill-1');
    fleet.host(host).run(`kill -STOP ${pid}`);
    try {
      let from: number | undefined;
      await waitFor('requests to wait for it for four seconds', async () => {
        const health = (await (await fetch(`${before.endpoint}/health`)).json()) as {
          instances: { name: string; inFlight: number }[];
        };
        if (health.instances.find((one) => one.name === 'prefill-1')!.inFlight === 0) from = undefined;
        else from ??= performance.now();
        return from !== undefined && performance.now() - from > 4_000;
      });
    } finally {
      fleet.host(host).run(`kill -CONT ${pid}`);
    }
    const seen = tell('a prefill worker stopped for some seconds', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(seen.longestTtftMs).toBeGreaterThan(2_000);
    expect(fleet.events(since, 'suspect')).toEqual([]);
    expect(pidsOf(await fleet.ready())).toEqual(pidsOf(before));
  });

  it.each(['prefill-1', 'decode-1'])('the host of %s is gone, and is there again after a boot', async (name) => {
    const before = await fleet.ready();
    const since = Date.now();
    const load = await fleet.load(before.endpoint);
    const { host } = named(before, name);
    await fleet.host(host).kill();
    await lost(host);
    // What it ran is not known to be dead: nothing of it is started anywhere else.
    const meanwhile = await fleet.box.status('fleet');
    expect(named(meanwhile, name)).toMatchObject({ host, state: 'unknown' });
    await fleet.host(host).reboot();
    const after = await fleet.is(`${name} to be back`, (now) => {
      const { state, pid } = named(now, name);
      return state === 'ready' && pid !== null && now.pairs.every((pair) => pair.state === 'proven');
    });
    await fleet.ready();
    const seen = tell(`host of ${name} rebooted`, await load.end());
    expect(seen.lostUnsent).toEqual([]);
    if (name === 'prefill-1') expect(seen.cutMidway).toEqual([]);
    expect(pidsOf(after, name)).toEqual(pidsOf(before, name));
    expect(fleet.events(since).join('\n')).toMatch(new RegExp(`${name} .*it ended while no agent lived`));
  });

  it('stops without a trace on any host', () => fleet.stopsClean());
});
