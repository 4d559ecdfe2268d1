import { readFileSync } from 'node:fs';
import path from 'node:path';
import { connectSocket } from '../../src/base/unix-socket.ts';
import { connectController, spawnController } from '../../src/deployment/controller-client.ts';
import { type DeploymentRecord, readRecord } from '../../src/deployment/record.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { agentPaths, deploymentPaths } from '../../src/deployment/state-dir.ts';
import type { LaunchPlan, ProcessSpec } from '../../src/plan/launch-plan.ts';
import { processesWithEnv, readStat } from '../../src/supervise/identity.ts';
import type { AgentMethods, EventRecord } from '../../src/supervise/protocol.ts';
import { type Methods, RpcPeer } from '../../src/supervise/rpc.ts';
import { socketPath } from '../../src/supervise/socket-path.ts';
import { kill } from './kill.ts';
import { tmpDir } from './tmp-dir.ts';
import { startRequest, trivialPlan } from './trivial-plan.ts';
import { waitFor } from './until.ts';

/** A real controller with a real agent over trivial processes, in a folder of its own. Disposing it ends whatever is left. */
export class TestDeployment implements AsyncDisposable {
  readonly name: string;
  readonly dir: string;
  readonly #tmp = tmpDir();
  #plan: LaunchPlan | undefined;

  constructor(name = 'trivial') {
    this.name = name;
    this.dir = path.join(this.#tmp.dir, 'd');
  }

  /** A file for a fixture program. */
  file(name: string): string {
    return path.join(this.#tmp.dir, name);
  }

  get agentDir(): string {
    return agentPaths(this.dir, 'local').dir;
  }

  /** Spawns a controller with the start request; resolves once it listens. The same plan again when called without one. */
  async start(processes?: ProcessSpec[], overrides: Partial<LaunchPlan> = {}): Promise<{ pid: number }> {
    if (processes) this.#plan = trivialPlan(this.name, processes, overrides);
    if (!this.#plan) throw new Error('nothing to start');
    return spawnController(this.name, this.dir, startRequest(this.dir, this.#plan));
  }

  get record(): DeploymentRecord | undefined {
    return readRecord(deploymentPaths(this.dir).record);
  }

  /** The record of the start once it has failed and the controller has ended. */
  async failed(): Promise<DeploymentRecord> {
    const record = await waitFor('the start to fail', () =>
      this.record?.phase === 'failed' ? this.record : undefined,
    );
    await this.empty();
    return record;
  }

  async snapshot(): Promise<DeploymentSnapshot | undefined> {
    const client = await connectController(this.dir).catch(() => undefined);
    client?.peer.close();
    return client?.hello.snapshot;
  }

  /** Waits until the snapshot is as wanted. */
  async becomes(what: string, test: (snapshot: DeploymentSnapshot) => boolean): Promise<DeploymentSnapshot> {
    let last: DeploymentSnapshot | undefined;
    return waitFor(
      `the deployment to be ${what}`,
      async () => {
        last = await this.snapshot();
        return last && test(last) ? last : undefined;
      },
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${JSON.stringify(last?.processes)}; ${this.eventText()}`);
    });
  }

  /** Ready, with a pid for every process. */
  async ready(): Promise<DeploymentSnapshot> {
    return this.becomes(
      'ready',
      (view) => view.state === 'ready' && view.processes.every((entry) => entry.pid !== null),
    );
  }

  async process(name: string, what: string, test: (process: ProcessSnapshot) => boolean): Promise<ProcessSnapshot> {
    const view = await this.becomes(`${name} ${what}`, (snapshot) =>
      snapshot.processes.some((entry) => entry.name === name && test(entry)),
    );
    return view.processes.find((entry) => entry.name === name)!;
  }

  /** Asks the controller to stop, and waits until nothing is left. */
  async stop(): Promise<void> {
    const client = await connectController(this.dir);
    if (!client) throw new Error('no controller to ask');
    const { leftPids } = await client.peer.request('stop', { force: true }).catch((error: unknown) => {
      // The controller may be gone before its answer has arrived; the record has the truth.
      if (this.record?.phase === 'stopped') return { leftPids: [] };
      throw error;
    });
    if (leftPids.length > 0) throw new Error(`left: ${leftPids.join(', ')}`);
    client.peer.close();
    await this.empty();
  }

  /** One request to the controller, as the commands make it. */
  async act(action: 'drain' | 'restart', name: string): Promise<void> {
    const client = await connectController(this.dir);
    try {
      await client?.peer.request(action, { name });
    } finally {
      client?.peer.close();
    }
  }

  /** A line of one's own to the agent. */
  async agentPeer(): Promise<RpcPeer<Methods, AgentMethods>> {
    const socket = await connectSocket(socketPath(this.agentDir, 'agent'));
    return new RpcPeer<Methods, AgentMethods>(socket).listen();
  }

  /** Waits until a controller has ended, and with it its hold on the deployment. */
  async ended(pid: number): Promise<void> {
    await waitFor(`controller ${pid} to end`, () => ['Z', undefined].includes(readStat(pid)?.state));
  }

  async agentPid(): Promise<number> {
    const view = await this.becomes('attended by an agent', ({ agents }) =>
      agents.every((agent) => agent.pid !== null),
    );
    return view.agents[0]!.pid!;
  }

  events(type?: string): EventRecord[] {
    const all = this.eventText()
      .split('\n')
      .slice(0, -1) // the last one may be half written
      .map((line) => JSON.parse(line) as EventRecord);
    return type === undefined ? all : all.filter((event) => event.type === type);
  }

  eventText(): string {
    try {
      return readFileSync(deploymentPaths(this.dir).events, 'utf8');
    } catch {
      return '';
    }
  }

  /** Everything that belongs to the deployment: controller, agent, shims, engines and what those started. */
  pids(): number[] {
    return processesWithEnv('DYNAMO_DEPLOYMENT_DIR', (value) => value === this.dir);
  }

  /** Engines and what they started, without supervisors. */
  supervised(): number[] {
    const all = new Set(this.pids());
    return processesWithEnv('DYNAMO_RUN_ID', () => true).filter((pid) => all.has(pid));
  }

  async empty(): Promise<void> {
    await waitFor('every process of the deployment to be gone', () => this.pids().length === 0).catch(
      (error: Error) => {
        throw new Error(`${error.message}: ${this.pids().map(describePid).join('; ')}`);
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Supervisors first, or they start anew what is killed here.
    await waitFor('every process of the test to be gone', () => {
      const pids = this.pids();
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    });
    this.#tmp[Symbol.dispose]();
  }
}

function describePid(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
  } catch {
    return `${pid} (gone)`;
  }
}
