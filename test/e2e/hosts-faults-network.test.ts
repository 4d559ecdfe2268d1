import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf, TWO_OF_EACH, tell } from '../helpers/fleet.ts';
import { hasMooncake } from '../helpers/mooncake.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';

/** Four hosts under a replay of a real trace, and a host that cannot be reached, is lost, or comes back as new. */
describe.skipIf(!hasTestHosts || !hasEtcd || !hasMooncake)('links and hosts that fail under load', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 4,
      workers: TWO_OF_EACH,
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
    host.run('for pid in $(pidof sshd sshd-session sshd-auth); do kill -KILL $pid; done');
    await lost(host.name);
    host.run('/usr/sbin/sshd -f /run/sshd/sshd_config -E /run/sshd/log');
    const after = await fleet.ready();
    const seen = tell('SSH link cut', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.agents.map(({ pid }) => pid)).toEqual(before.agents.map(({ pid }) => pid));
  });

  it('every packet of the host of a worker: the others serve, nothing is restarted elsewhere, all is whole when it is back', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    const { host } = named(before, 'prefill-1');
    fleet.host(host).wire('cut');
    try {
      await lost(host);
    } finally {
      fleet.host(host).wire('whole');
    }
    const after = await fleet.ready();
    const seen = tell('network of a prefill host cut', await load.end());
    expect(seen.lostUnsent).toEqual([]);
    expect(pidsOf(after, 'prefill-1')).toEqual(pidsOf(before, 'prefill-1'));
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
