import { chmodSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet, named, pidsOf } from '../helpers/fleet.ts';
import { steadyLoad } from '../helpers/steady-load.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** All that a careful administrator takes away, an old Node, and start files that talk. */
const LITTLE = {
  sshd: ['MaxSessions 1', 'AllowStreamLocalForwarding no', 'DisableForwarding yes', 'Subsystem sftp /bin/false'],
  node: 'old',
} as const;
const WORKERS = `
  prefill: { replicas: 1, startTimeout: 3m }
  decode: { replicas: 2, startTimeout: 3m }`;

/** Two hosts that let in little, and then do not let in at all, while requests go on. */
describe.skipIf(!hasTestHosts || !hasEtcd)('hosts that are hard to get into', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: 2, workers: WORKERS, host: LITTLE });
    for (const host of fleet.net.hosts) host.run('printf "echo WELCOME; echo banner >&2\\n" > ~/.bashrc');
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  it('one session, no forwarding, no SFTP, an old Node, a banner: all is served, and every command works', async () => {
    const before = await fleet.served();
    expect(new Set(before.processes.map(({ host }) => host)).size).toBe(2);
    const load = steadyLoad(before.endpoint, 3);
    await waitFor('answers', () => load.answered() > 5, 60_000);
    const logs = await fleet.box.run('logs', 'fleet', 'decode-0', 'decode-1', '--tail', '5');
    expect([logs.code, logs.stderr]).toEqual([0, '']);
    expect(logs.stdout).not.toContain('WELCOME');
    for (const name of ['decode-0', 'decode-1']) expect(logs.stdout).toContain(name);
    expect(await load.end()).toEqual([]);
  });

  /** Ends every session of a host, as its sshd may at any time; it lets in as before, or not. */
  const endSessions = (name: string) => {
    fleet.host(name).killSshd();
    return fleet.host(name).startSshd();
  };

  it.each([
    [
      'the host key changed',
      /no line to the agent of host-\d: .*host key .*has changed/,
      async (name: string) => {
        await fleet.host(name).changeHostKey();
        return () =>
          writeFileSync(fleet.net.knownHosts, fleet.net.hosts.map((host) => host.knownHostsLines()).join(''));
      },
    ],
    [
      'the key file can be read by others',
      /no line to the agent of host-\d: .*can be read by others \(mode 0644\)/,
      async () => {
        chmodSync(fleet.net.key, 0o644);
        return () => chmodSync(fleet.net.key, 0o600);
      },
    ],
  ])('%s under way: requests go on, the reason is told, and mending it is enough', async (_name, reason, spoil) => {
    const before = await fleet.ready();
    const since = Date.now();
    const load = steadyLoad(before.endpoint, 3);
    const { host } = named(before, 'decode-1');
    const mend = await spoil(host);
    await endSessions(host);
    await fleet.is(`no line to ${host}`, ({ agents }) =>
      agents.some((agent) => agent.host === host && agent.pid === null),
    );
    await waitFor('the reason', () => reason.test(fleet.events(since, 'agent-lost').join('\n')), 60_000);
    const answered = load.answered();
    await waitFor('answers without it', () => load.answered() > answered + 5, 60_000);
    mend();
    const after = await fleet.ready();
    expect(await load.end()).toEqual([]);
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.agents.map(({ pid }) => pid)).toEqual(before.agents.map(({ pid }) => pid));
  });

  it('a stop with one of them away ends the rest and says what stays; the next one leaves no trace on any host', async () => {
    const before = await fleet.ready();
    const away = named(before, 'decode-1').host;
    const other = fleet.net.hosts.find(({ name }) => name !== away)!;
    fleet.host(away).wire('cut');
    try {
      const { code, stderr } = await fleet.box.run('stop', 'fleet');
      expect(stderr).toContain('error: a host of fleet cannot be reached; what runs there stays [STOP_INCOMPLETE]');
      expect(stderr).toContain(`  ${away}: `);
      expect(stderr).toContain('`dynamo stop fleet` or the next `dynamo serve` finishes it');
      expect(code).toBe(6);
      await waitFor('the rest to be gone', () => other.processes().length === 0, 60_000);
      expect(fleet.host(away).processes()).not.toEqual([]);
    } finally {
      fleet.host(away).wire('whole');
    }
    await fleet.stopsClean();
  });
});
