import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { ask, Sandbox } from '../helpers/deployment-sandbox.ts';
import { EtcdDoor } from '../helpers/etcd-door.ts';
import { hasEtcd } from '../helpers/etcd-server.ts';
import type { TestHost } from '../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../helpers/test-hosts.ts';
import { waitFor } from '../helpers/until.ts';

/** A launcher: a state folder of its own, as on another machine, with a recipe for some of the hosts. */
class Launcher implements AsyncDisposable {
  readonly box = new Sandbox();
  readonly #args: string[];

  constructor(net: TestHosts, store: EtcdDoor, hosts: readonly TestHost[], more = '') {
    const file = this.box.file('hosts.yaml', JSON.stringify({ hosts: hosts.map((host) => net.entry(host)) }));
    const recipe = this.box.file(
      'fleet.yaml',
      `name: fleet
model: mock-model
engine: mocker
discovery: { backend: etcd, endpoints: ['${store.endpoint}'], ttl: 10s }
startLease: 25s
frontend: { port: auto }
workers:
  aggregated: { replicas: ${hosts.length}${more} }
`,
    );
    this.#args = ['serve', recipe, '--hosts', file, '--detach'];
  }

  serve() {
    return this.box.run(...this.#args);
  }

  start() {
    return this.box.start(...this.#args);
  }

  async served(): Promise<DeploymentSnapshot> {
    const snapshot = await this.box.ready('fleet');
    expect(await ask(snapshot.endpoint)).not.toBe('');
    return snapshot;
  }

  stop() {
    return this.box.run('stop', 'fleet');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.box[Symbol.asyncDispose]();
  }
}

const pidsOf = ({ processes, agents }: DeploymentSnapshot) =>
  [...processes, ...agents].map(({ host, pid }) => `${host} ${pid}`).sort();

describe.skipIf(!hasTestHosts || !hasEtcd)(
  'two launchers that want the same hosts for a deployment of one name',
  () => {
    let net: TestHosts;
    let store: EtcdDoor;
    let cleanup: AsyncDisposableStack;
    beforeEach(async () => {
      cleanup = new AsyncDisposableStack();
      net = cleanup.use(await TestHosts.start(3));
      store = cleanup.use(await EtcdDoor.open(net));
    });
    afterEach(() => cleanup.disposeAsync());

    const launcher = (hosts: readonly TestHost[], more?: string) => cleanup.use(new Launcher(net, store, hosts, more));
    const nothingRuns = (hosts: readonly TestHost[] = net.hosts) =>
      waitFor('nothing of ours to run on the hosts', () => hosts.every((host) => host.processes().length === 0)).catch(
        (error: Error) => {
          throw new Error(`${error.message}: ${hosts.map((host) => `${host.name} ${host.processes().join('; ')}`)}`);
        },
      );

    it.each([
      ['the same hosts', [0, 1, 2], [0, 1, 2]],
      ['some hosts in common, in another order', [0, 1], [2, 1]],
    ])('at once, %s: one serves, the other takes everything back and says who has them', async (_, ofOne, ofOther) => {
      const hostsOf = (numbers: readonly number[]) => numbers.map((number) => net.hosts[number]!);
      for (let round = 0; round < 2; round += 1) {
        const both = [launcher(hostsOf(ofOne)), launcher(hostsOf(ofOther))];
        const ends = await Promise.all(both.map((each) => each.serve()));
        const codes = ends.map(({ code }) => code);
        expect(codes.toSorted(), ends.map(({ stderr }) => stderr).join('\n')).toEqual([0, 4]);
        const [winner, loser] = codes[0] === 0 ? [both[0]!, both[1]!] : [both[1]!, both[0]!];
        const { stderr } = ends[codes.indexOf(4)]!;
        expect(stderr).toMatch(
          /host-\d (runs|is about to run) a deployment fleet that \S+@\S+ started \[DEPLOYMENT_BUSY\]/,
        );
        const before = await winner.served();
        await nothingRuns(net.hosts.filter(({ name }) => !before.processes.some(({ host }) => host === name)));

        // Whatever the loser does next changes nothing.
        expect((await loser.stop()).code).not.toBe(1);
        expect((await loser.serve()).code).toBe(4);
        const after = await winner.served();
        expect(pidsOf(after)).toEqual(pidsOf(before));
        expect(await winner.stop()).toMatchObject({ code: 0, stderr: '' });
        await nothingRuns();
        // Now it is the loser's turn.
        if (round === 1) {
          expect((await loser.serve()).code).toBe(0);
          await loser.served();
          expect((await loser.stop()).code).toBe(0);
          await nothingRuns();
        }
      }
    });

    it('one is suspended in the middle of its start: the other serves, and is not disturbed by its return', async () => {
      const slow = launcher(net.hosts, ', args: { startup-time: 600 }');
      const serving = slow.start();
      const suspended = await waitFor('its engines to be loading', async () => {
        const now = await slow.box.status('fleet').catch(() => undefined);
        const loading = now?.processes.filter(
          ({ role, state, pid }) => role === 'aggregated' && state === 'starting' && pid,
        );
        return loading?.length === 3 && now?.controller ? now.controller.pid : undefined;
      });
      process.kill(suspended, 'SIGSTOP');
      try {
        const busy = launcher(net.hosts);
        expect((await busy.serve()).stderr).toContain('[DEPLOYMENT_BUSY]');
        // Its lease runs out, the hosts take its start back by themselves.
        await nothingRuns();
        const other = launcher(net.hosts);
        expect(await other.serve()).toMatchObject({ code: 0 });
        const before = await other.served();
        process.kill(suspended, 'SIGCONT');
        expect(await serving.exited).not.toBe(0);
        await waitFor('its controller to end', () => !slow.box.processes().includes(suspended));
        expect((await slow.box.status('fleet')).state).toBe('failed');
        expect((await slow.stop()).code).not.toBe(1);
        const after = await other.served();
        expect(pidsOf(after)).toEqual(pidsOf(before));
        expect(await other.stop()).toMatchObject({ code: 0, stderr: '' });
        await nothingRuns();
      } finally {
        if (slow.box.processes().includes(suspended)) process.kill(suspended, 'SIGCONT');
      }
    });

    it('one is suspended while it serves: it keeps its hosts, and goes on as if nothing had been', async () => {
      const first = launcher(net.hosts);
      expect((await first.serve()).code).toBe(0);
      const before = await first.served();
      const pid = before.controller!.pid;
      process.kill(pid, 'SIGSTOP');
      try {
        const other = launcher(net.hosts);
        const { code, stderr } = await other.serve();
        expect([code, stderr]).toEqual([4, expect.stringContaining('[DEPLOYMENT_BUSY]')]);
        expect(await ask(before.endpoint)).not.toBe('');
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      const after = await first.served();
      expect(pidsOf(after)).toEqual(pidsOf(before));
      expect((await first.stop()).code).toBe(0);
      await nothingRuns();
    });
  },
);
