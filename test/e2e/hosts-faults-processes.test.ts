import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf, TWO_OF_EACH, tell } from '../helpers/fleet.ts';
import { hasMooncake } from '../helpers/mooncake.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';

/** Four hosts, two prefill and two decode workers on one each, a replay of a real trace, and a process that dies. */
describe.skipIf(!hasTestHosts || !hasEtcd || !hasMooncake)('processes that die on four hosts under load', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 4,
      workers: TWO_OF_EACH,
    });
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  it('starts with one worker a host', async () => {
    const { processes } = await fleet.served();
    const workers = processes.filter(({ role }) => role === 'prefill' || role === 'decode');
    expect(new Set(workers.map(({ host }) => host)).size).toBe(4);
  });

  it('the controller: nothing is lost, and it adopts the very same processes', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    process.kill(before.controller!.pid, 'SIGKILL');
    await fleet.is('the deployment to be unattended', ({ unattended }) => unattended);
    const after = await fleet.served();
    const seen = tell('controller killed', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.generation).toBe(before.generation);
  });

  it('each agent in turn: nothing is lost, the controller replaces it, no process is touched', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    for (const { host, pid } of before.agents) {
      fleet.kill({ host, pid });
      await fleet.is(`another agent on ${host}`, ({ agents }) =>
        agents.some((agent) => agent.host === host && agent.pid !== null && agent.pid !== pid),
      );
    }
    const after = await fleet.ready();
    const seen = tell('each agent killed', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
  });

  it('controller and all agents at once: nothing is lost, the next serve adopts everything', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    process.kill(before.controller!.pid, 'SIGKILL');
    for (const agent of before.agents) fleet.kill(agent);
    await fleet.is('the deployment to be unattended', ({ unattended }) => unattended);
    const after = await fleet.served();
    const seen = tell('controller and all agents killed', await load.end());
    expect([seen.lostUnsent, seen.cutMidway]).toEqual([[], []]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
  });

  it.each(['prefill-1', 'decode-1'])(
    '%s: what had sent nothing is answered by the other; it comes back proven',
    async (name) => {
      const before = await fleet.ready();
      const since = Date.now();
      const load = await fleet.load(before.endpoint);
      fleet.kill(named(before, name));
      const after = await fleet.is(`${name} to be back`, (now) => {
        const { state, restarts } = named(now, name);
        return state === 'ready' && restarts > named(before, name).restarts;
      });
      await fleet.is('its pairs to be proven', ({ pairs }) => pairs.every(({ state }) => state === 'proven'));
      const seen = tell(`${name} killed`, await load.end());
      expect(seen.lostUnsent).toEqual([]);
      // A stream that had begun there ends with an error: nothing can give its tokens back. A prefill worker has no streams.
      if (name === 'prefill-1') expect(seen.cutMidway).toEqual([]);
      expect(pidsOf(after, name)).toEqual(pidsOf(before, name));
      expect(fleet.events(since).join('\n')).toMatch(new RegExp(`${name} .*killed by SIGKILL`));
    },
  );

  it('the frontend: it comes back on its port and knows every worker', async () => {
    const before = await fleet.ready();
    const load = await fleet.load(before.endpoint);
    fleet.kill(named(before, 'frontend'));
    const after = await fleet.is('the frontend to be back', (now) => {
      const { state, restarts } = named(now, 'frontend');
      return state === 'ready' && restarts > named(before, 'frontend').restarts;
    });
    const seen = tell('frontend killed', await load.end());
    // Connections that were refused or cut; no answer was wrong.
    for (const failure of [...seen.lostUnsent, ...seen.cutMidway])
      expect(failure).toMatch(/^(- |503 |200 connection_(closed|reset))/);
    expect(after.endpoint).toBe(before.endpoint);
    expect(pidsOf(after, 'frontend')).toEqual(pidsOf(before, 'frontend'));
  });

  it('stops without a trace on any host', () => fleet.stopsClean());
});
