import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spawnController } from '../../../src/deployment/controller-client.ts';
import { readRecord } from '../../../src/deployment/record.ts';
import { deploymentPaths } from '../../../src/deployment/state-dir.ts';
import { START_STEPS } from '../../../src/supervise/start-steps.ts';
import { EtcdDoor } from '../../helpers/etcd-door.ts';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { startRequest, trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

/** Everything here shares two cores and two hosts with its neighbours. */
const PATIENCE_MS = 90_000;
const NAMES = ['host-1', 'host-2'];

/** Every step × before/after × the controller, or the agent of either host. */
const cases = START_STEPS.flatMap(({ name, actors }) =>
  (['before', 'after'] as const).flatMap((moment) =>
    actors.flatMap((actor) => (actor === 'agent' ? NAMES : ['controller']).map((who) => ({ name, moment, who }))),
  ),
);

/**
 * The promise of a gang start over hosts: whoever is killed at whichever step, on whichever host, the deployment ends up whole or
 * gone on all of them, and can be started and stopped afterwards without a trace.
 */
describe.skipIf(!hasTestHosts || !hasEtcd)('SIGKILL at every step of a start over two hosts', () => {
  let net: TestHosts;
  let store: EtcdDoor;
  beforeAll(async () => {
    net = await TestHosts.start(2);
    store = await EtcdDoor.open(net);
  });
  afterAll(async () => {
    await store?.[Symbol.asyncDispose]();
    await net?.[Symbol.asyncDispose]();
  });

  /** Processes of one deployment on a host; the others are of neighbours. */
  const ofDeployment = async (host: TestHost, name: string): Promise<string[]> =>
    (
      await host.ask(
        `for d in /proc/[0-9]*; do if tr '\\0' '\\n' < $d/environ 2>/dev/null | grep -q '^DYNAMO_DEPLOYMENT_DIR=.*/${name}$'; then tr '\\0' ' ' < $d/cmdline; echo; fi; done`,
      )
    )
      .split('\n')
      .filter((line) => line.trim() !== '');
  const engines = async (name: string) =>
    (await Promise.all(net.hosts.map((host) => ofDeployment(host, name))))
      .flat()
      .filter((line) => /^sleep 600/.test(line)).length;

  const becomesReady = async (deployment: HostsDeployment) =>
    waitFor(
      `${deployment.name} to be ready`,
      async () => {
        const view = await deployment.snapshot();
        return view?.state === 'ready' && view.processes.every(({ pid }) => pid !== null) ? view : undefined;
      },
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${deployment.eventText().slice(-3_000)}`);
    });
  const isGone = (deployment: HostsDeployment) =>
    waitFor(
      `nothing of ${deployment.name} to run on any host`,
      async () => (await Promise.all(net.hosts.map((host) => ofDeployment(host, deployment.name)))).flat().length === 0,
      PATIENCE_MS,
    );

  it.concurrent.each(cases)('$who $moment $name', { timeout: 300_000 }, async ({ name, moment, who }) => {
    await using deployment = await HostsDeployment.over(net, `${name}-${moment}-${who}`, 0, store);
    const processes = NAMES.map((host, index) => trivialProcess(`worker-${index}`, { host, startTimeoutMs: 60_000 }));
    const plan = deployment.plan(processes, { startLeaseMs: 8_000 });
    const request = {
      ...startRequest(deployment.dir, plan),
      hosts: net.hosts.map((host) => deployment.hostEntry(host)),
    };
    const isController = who === 'controller';
    const crashAt = isController ? `${name}:${moment}` : `${name}:${moment}:${who}`;
    // The variable is read while this spawns, before anything else runs here.
    process.env['DYNAMO_CRASH_AT'] = crashAt;
    const spawned = spawnController(deployment.name, deployment.dir, request);
    delete process.env['DYNAMO_CRASH_AT'];
    await spawned.catch(() => {});

    if (isController) {
      await waitFor('the controller to be dead', async () => (await deployment.snapshot()) === undefined, PATIENCE_MS);
      const committed = (await deployment.keys()).includes('commit.1');
      if (committed)
        await waitFor('all processes to run on', async () => (await engines(deployment.name)) === 4, PATIENCE_MS);
      else await isGone(deployment);
      await spawnController(deployment.name, deployment.dir, request);
      const view = await becomesReady(deployment);
      expect(view.generation).toBe(committed || (name === 'record' && moment === 'before') ? 1 : 2);
    } else {
      // The controller replaces the agent, and the start completes.
      await becomesReady(deployment);
      await waitFor('the events of both agents', () => agentsOf(deployment, who) >= 2, PATIENCE_MS);
    }
    await deployment.stop().catch((error: Error) => {
      const log = readFileSync(deploymentPaths(deployment.dir).controllerLog, 'utf8').slice(-1_500);
      throw new Error(`${error.message}: ${deployment.eventText().slice(-1_500)}\n${log}`);
    });
    await isGone(deployment);
    expect(readRecord(deploymentPaths(deployment.dir).record)?.phase).toBe('stopped');
    expect(await deployment.keys()).toEqual([]);
  });

  it('left no process, no socket and no lock on any host', async () => {
    for (const host of net.hosts) {
      await waitFor(`nothing to run on ${host.name}`, () => host.processes().length === 0);
      expect(host.run('find ~ /tmp /run -type s -path "*dynamo*"').trim()).toBe('');
      expect(host.run('for f in $(find ~ /tmp /run -name "*.lock"); do flock -n $f true || echo $f; done')).toBe('');
    }
  });
});

/** How many agents of a host have come up. */
function agentsOf(deployment: HostsDeployment, host: string): number {
  const text = readFileSync(deploymentPaths(deployment.dir).events, 'utf8');
  return text.split('\n').filter((line) => line.includes(`"agent ${host}"`) && /agent pid \d+ up/.test(line)).length;
}
