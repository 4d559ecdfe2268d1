import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StepSnapshot } from '../../../src/deployment/snapshot.ts';
import { lastHost } from '../../../src/deployment/start-path.ts';
import { agentPaths } from '../../../src/deployment/state-dir.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';
import { SshTransport } from '../../../src/hosts/ssh/ssh-transport.ts';
import { type AgentMethods, PROTOCOL_VERSION } from '../../../src/supervise/protocol.ts';
import { type Methods, RpcPeer } from '../../../src/supervise/rpc.ts';
import { socketPathOf } from '../../../src/supervise/socket-path.ts';
import { hasEtcd } from '../../helpers/etcd-server.ts';
import { HostsDeployment } from '../../helpers/hosts-deployment.ts';
import { SlowLink } from '../../helpers/slow-link.ts';
import type { TestHost } from '../../helpers/test-host.ts';
import { hasTestHosts, TestHosts } from '../../helpers/test-hosts.ts';
import { trivialProcess } from '../../helpers/trivial-plan.ts';
import { waitFor } from '../../helpers/until.ts';

const TRIPS = 300;
/** CI proves that it can be measured; figures need a quiet machine and several rounds. */
const isCi = Boolean(process.env['CI']);
const ROUNDS = isCi ? 1 : 4;
const TIMEOUT_MS = 480_000;
/** A link between two places: 20 ms there and back. */
const ONE_WAY_MS = 10;
const CLOCK_TICK_MS = 10;
/** A round begins when the machine is this idle; all rounds together wait no longer than this for it. */
const IDLE_SHARE = 0.75;
const LOOK_MS = 200;
const PATIENCE_MS = isCi ? 0 : 40_000;

interface MeasuredStart {
  /** Up to the commit: what the journal says. */
  steps: StepSnapshot[];
  /** CPU time of everything that a host did for it, in milliseconds: sshd, shells, agent, processes. */
  hostCpuMs: number;
}

/** Prints what docs/hosts.md states; asserts nothing about time. */
describe.skipIf(!hasTestHosts || !hasEtcd)('control over SSH, measured', () => {
  let net: TestHosts;
  let links: SlowLink[] = [];
  beforeAll(async () => {
    net = await TestHosts.start(4);
    links = await Promise.all(net.hosts.map((host) => SlowLink.open({ host: host.address, port: 22 }, ONE_WAY_MS)));
    const lines = net.hosts.map((host, index) => `[127.0.0.1]:${links[index]!.port} ${hostKey(host)}\n`);
    net.file('known_far', lines.join(''));
  });
  afterAll(async () => {
    for (const link of links) await link[Symbol.asyncDispose]();
    await net?.[Symbol.asyncDispose]();
  });

  const farEntry = (index: number): Partial<HostEntry> => ({
    ...{ address: '127.0.0.1', port: links[index]!.port, knownHosts: net.file('known_far') },
  });

  /** Starts a trivial process on each of that many hosts, near or far, and stops them again. */
  async function startOn(
    count: number,
    oneWayMs: number,
    measure?: (deployment: HostsDeployment) => Promise<void>,
  ): Promise<MeasuredStart> {
    await using deployment = await HostsDeployment.over(net, `measure-${count}`, oneWayMs);
    const hosts = net.hosts.slice(0, count);
    const processes = hosts.map(({ name }, index) => trivialProcess(`worker-${index}`, { host: name }));
    const entries = hosts.map((host, index) => deployment.hostEntry(host, oneWayMs > 0 ? farEntry(index) : {}));
    await untilIdle();
    const before = hosts.map(cpuMsOf);
    await deployment.startOn(deployment.plan(processes), entries);
    const steps = await waitFor('the end of the start', async () => {
      const { state, startSteps = [] } = (await deployment.snapshot()) ?? {};
      return state === 'ready' && startSteps.length > 0 ? startSteps : undefined;
    });
    const hostCpuMs = median(hosts.map((host, index) => cpuMsOf(host) - before[index]!));
    await measure?.(deployment);
    await deployment.stop();
    return { steps: steps.filter(({ step }) => step !== 'settle'), hostCpuMs };
  }

  it('a start on four hosts against one on one host, near and far', { timeout: TIMEOUT_MS }, async () => {
    await startOn(4, 0); // the kit is copied once, and that is not what is measured
    for (const oneWayMs of [0, ONE_WAY_MS]) {
      const one: MeasuredStart[] = [];
      const four: MeasuredStart[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        one.push(await startOn(1, oneWayMs));
        four.push(await startOn(4, oneWayMs));
      }
      const where = oneWayMs === 0 ? 'hosts without distance' : `hosts ${2 * oneWayMs} ms away, there and back`;
      console.info(`${where}, ${os.availableParallelism()} cores for all of them\n${renderPaths(one, four)}`);
      for (const start of [...one, ...four]) expect(totalMs(start)).toBeGreaterThan(0);
    }
  });

  it('a round trip to an agent', async () => {
    const trips: number[] = [];
    await startOn(1, 0, async (deployment) => {
      const [host] = net.hosts;
      await using transport = await SshTransport.connect(deployment.hostEntry(host!));
      const dir = agentPaths(deployment.dirOn(os.userInfo().homedir), host!.name).dir;
      const socket = await transport.connectSocket(socketPathOf(dir, 'agent', os.userInfo().uid));
      const peer = new RpcPeer<Methods, AgentMethods>(socket as ConstructorParameters<typeof RpcPeer>[0]).listen();
      for (let round = 0; round < TRIPS; round += 1) {
        const began = performance.now();
        await peer.request('observe', { protocol: PROTOCOL_VERSION });
        trips.push(performance.now() - began);
      }
      peer.close();
    });
    trips.sort((a, b) => a - b);
    const at = (share: number) => trips[Math.floor(trips.length * share)]!.toFixed(2);
    console.info(`round trip to an agent over SSH: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms`);
    expect(trips).toHaveLength(TRIPS);
  });
});

/** The critical path by step: medians over the rounds, and what the last host of the middle round did. */
function renderPaths(one: readonly MeasuredStart[], four: readonly MeasuredStart[]): string {
  const names = [...new Set(four.flatMap(({ steps }) => steps.map(({ step }) => step)))];
  const of = (starts: readonly MeasuredStart[], name: string) => median(starts.map((start) => stepMs(start, name)));
  const rows = names.map((name) => [name, of(one, name), of(four, name), partsOf(one, name), partsOf(four, name)]);
  const [all1, all4] = [median(one.map(totalMs)), median(four.map(totalMs))];
  const [best1, best4] = [Math.min(...one.map(totalMs)), Math.min(...four.map(totalMs))];
  const cpu = [one, four].map((starts) => median(starts.map(({ hostCpuMs }) => hostCpuMs)));
  const lines = [
    ['step', 'one host', 'four hosts', 'of one', 'of the last of four'],
    ...rows.map(([name, ms1, ms4, ...parts]) => [name, `${ms1} ms`, `${ms4} ms`, ...parts]),
    ['critical path', `${all1} ms`, `${all4} ms`, `${(all4 / all1).toFixed(2)} times`, ''],
    ['of the best round', `${best1} ms`, `${best4} ms`, `${(best4 / best1).toFixed(2)} times`, ''],
    ['CPU time a host', `${cpu[0]} ms`, `${cpu[1]} ms`, '', ''],
  ];
  return lines
    .map((cells) =>
      cells
        .map((cell, index) => String(cell).padEnd(WIDTHS[index]!))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}

const WIDTHS = [19, 11, 12, 38, 0];

const stepMs = ({ steps }: MeasuredStart, name: string): number =>
  steps.filter(({ step }) => step === name).reduce((sum, { ms }) => sum + ms, 0);

const totalMs = ({ steps }: MeasuredStart): number => steps.reduce((sum, { ms }) => sum + ms, 0);

function partsOf(starts: readonly MeasuredStart[], name: string): string {
  const middle = [...starts].sort((a, b) => stepMs(a, name) - stepMs(b, name))[Math.floor(starts.length / 2)];
  const step = middle?.steps.find((each) => each.step === name);
  return step
    ? (lastHost(step)
        ?.parts.map(({ phase, ms }) => `${phase} ${ms}`)
        .join(', ') ?? '')
    : '';
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

let patienceMs = PATIENCE_MS;

/** Until nobody else uses the cores much: others' work would be measured too. */
async function untilIdle(): Promise<void> {
  for (let idleLooks = 0; idleLooks < 2 && patienceMs > 0; patienceMs -= LOOK_MS) {
    const before = coreTicks();
    await sleep(LOOK_MS);
    const after = coreTicks();
    idleLooks = (after.idle - before.idle) / (after.all - before.all) >= IDLE_SHARE ? idleLooks + 1 : 0;
  }
}

/** First line of proc_stat(5): user, nice, system, idle, iowait, … */
function coreTicks(): { idle: number; all: number } {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1).map(Number);
  return { idle: ticks[3]! + ticks[4]!, all: ticks.reduce((sum, each) => sum + each, 0) };
}

/** Everything that runs on a host, and what it has waited for to end: fields 14 to 17 of proc_pid_stat(5). */
function cpuMsOf(host: TestHost): number {
  const ticks = host
    .run('cat /proc/[0-9]*/stat 2>/dev/null || true')
    .split('\n')
    .filter(Boolean)
    .flatMap((line) =>
      line
        .slice(line.lastIndexOf(') ') + 2)
        .split(' ')
        .slice(11, 15)
        .map(Number),
    );
  return ticks.reduce((sum, each) => sum + each, 0) * CLOCK_TICK_MS;
}

/** `ssh-ed25519 AAAA…` */
function hostKey(host: TestHost): string {
  return host.knownHostsLines().split('\n')[0]!.split(' ').slice(1).join(' ');
}
