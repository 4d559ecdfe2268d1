import os from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentPaths } from '../../../src/deployment/state-dir.ts';
import { SshTransport } from '../../../src/hosts/ssh/ssh-transport.ts';
import { type AgentMethods, PROTOCOL_VERSION } from '../../../src/supervise/protocol.ts';
import { type Methods, RpcPeer } from '../../../src/supervise/rpc.ts';
import { socketPathOf } from '../../../src/supervise/socket-path.ts';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const ROUNDS = 300;

/** Prints what docs/hosts.md states; asserts nothing about time. */
describe.skipIf(!hasTestHosts || !hasEtcd)('control over SSH, measured', () => {
  let net: TestHosts;
  beforeAll(async () => {
    net = await TestHosts.start(4);
  });
  afterAll(() => net?.[Symbol.asyncDispose]());

  /** Starts trivial processes on that many hosts; resolves with milliseconds from the record to the commit, by the event log. */
  async function startOn(count: number, measure?: (deployment: HostsDeployment) => Promise<void>): Promise<number> {
    await using deployment = await HostsDeployment.over(net, `measure-${count}`);
    const hosts = net.hosts.slice(0, count);
    const processes = hosts.map(({ name }, index) => trivialProcess(`worker-${index}`, { host: name }));
    const entries = hosts.map((host) => deployment.hostEntry(host));
    const began = Date.now();
    await deployment.startOn(deployment.plan(processes), entries);
    await deployment.ready();
    const committed = await waitFor('the event of the commit', () => deployment.events('ready').at(-1));
    await measure?.(deployment);
    await deployment.stop();
    return Date.parse(committed.at) - began;
  }

  it('a round trip to an agent; a start on four hosts against one on one host', async () => {
    await startOn(4); // the kit is copied once, and that is not what is measured
    const one: number[] = [];
    const four: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      one.push(await startOn(1));
      four.push(await startOn(4));
    }
    let trips: number[] = [];
    await startOn(1, async (deployment) => {
      const [host] = net.hosts;
      await using transport = await SshTransport.connect(deployment.hostEntry(host!));
      const dir = agentPaths(deployment.dirOn(os.userInfo().homedir), host!.name).dir;
      const socket = await transport.connectSocket(socketPathOf(dir, 'agent', os.userInfo().uid));
      const peer = new RpcPeer<Methods, AgentMethods>(socket as ConstructorParameters<typeof RpcPeer>[0]).listen();
      for (let round = 0; round < ROUNDS; round += 1) {
        const began = performance.now();
        await peer.request('observe', { protocol: PROTOCOL_VERSION });
        trips.push(performance.now() - began);
      }
      peer.close();
    });
    trips = trips.sort((a, b) => a - b);
    const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
    const at = (share: number) => trips[Math.floor(trips.length * share)]!.toFixed(2);
    console.info(`round trip to an agent over SSH: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms`);
    console.info(
      `start, from the command to its commit: ${median(one)} ms on one host, ${median(four)} ms on four, ` +
        `${(median(four) / median(one)).toFixed(2)} times`,
    );
    expect(trips).toHaveLength(ROUNDS);
  });
});
