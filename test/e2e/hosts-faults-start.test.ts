import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasEtcd } from '../helpers/etcd-server.ts';
import { Fleet } from '../helpers/fleet.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** What changes on a host after it was looked at and before something is started there. */
describe.skipIf(!hasTestHosts || !hasEtcd)('a start on hosts that are not as they were', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: 2,
      workers: '{ aggregated: { replicas: 2, startTimeout: 3m } }',
    });
  });
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  /** Runs something there until it is ended by its pid. */
  const background = (host: TestHost, script: string) => {
    const pid = host.run(`(${script}) </dev/null >/dev/null 2>&1 & echo $!`).trim();
    return () => host.run(`kill -KILL $(cat /proc/${pid}/task/${pid}/children) ${pid} 2>/dev/null || true`);
  };

  it('a port that is bound and not listened on is seen by no look, only by trying: planned anew with others', async () => {
    const [one] = fleet.net.hosts as [TestHost];
    const ports = (text: string) =>
      (JSON.parse(text) as { plan: { processes: { host: string; ports: Record<string, number> }[] } }).plan.processes
        .filter(({ host }) => host === one.name)
        .flatMap((spec) => Object.values(spec.ports));
    const planned = await fleet.box.run('plan', fleet.recipe, '--hosts', fleet.hostsFile, '--json');
    const [stolen] = ports(planned.stdout);
    const end = background(
      one,
      `exec perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(${stolen},INADDR_ANY)) or die; sleep 600'`,
    );
    try {
      const { code, stdout, stderr } = await fleet.serve();
      expect(code, stderr).toBe(0);
      expect(stdout + stderr).toContain('a port was taken between plan and start; planning with others');
      const view = await fleet.ready();
      expect(view.processes.map(({ url }) => url).join(' ')).not.toContain(`:${stolen}`);
    } finally {
      end();
    }
    await fleet.stopsClean();
  });

  it('a link that is cut in the middle of the start: all is taken back on every host, and the next start is whole', async () => {
    const [, two] = fleet.net.hosts as [TestHost, TestHost];
    const serving = fleet.box.start(
      ...['serve', fleet.recipe, '--hosts', fleet.hostsFile, '--detach'],
      ...['--set', 'workers.aggregated.args.startup-time=600', '--set', 'startLease=5s'],
    );
    await waitFor('a process to start there', () => two.processes().some((line) => line.includes(' mocker ')), 60_000);
    two.wire('cut');
    try {
      expect(await serving.exited).not.toBe(0);
      await waitFor('nothing to run on the host that was cut off', () => two.processes().length === 0, 60_000);
    } finally {
      two.wire('whole');
    }
    await fleet.served();
    await fleet.stopsClean();
  });
});
