import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Etcd3 } from 'etcd3';
import { expect } from 'vitest';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { Sandbox } from './deployment-sandbox.ts';
import { EtcdDoor } from './etcd-door.ts';
import { MOONCAKE } from './mooncake.ts';
import type { LongCommand } from './run-cli.ts';
import type { TestHost, TestHostOptions } from './test-host.ts';
import { TestHosts } from './test-hosts.ts';
import { waitFor } from './until.ts';

/** Patience for anything over four hosts on two busy cores. */
const PATIENCE_MS = 90_000;
const RESTART = '{ initialBackoff: 100ms, maxBackoff: 1s, maxRestarts: 100 }';

/** Workers of a recipe that come back quickly: one a host on four hosts. */
export const TWO_OF_EACH = `
  prefill: { replicas: 2, startTimeout: 3m, restart: { initialBackoff: 100ms, maxBackoff: 1s, maxRestarts: 100 } }
  decode: { replicas: 2, startTimeout: 3m, restart: { initialBackoff: 100ms, maxBackoff: 1s, maxRestarts: 100 } }`;

export interface FleetOptions {
  hosts: number;
  workers: string;
  host?: TestHostOptions;
  /** More lines of each host's entry in the hosts file. */
  entry?: Record<string, unknown>;
  /** How many of the hosts are in the hosts file at first. Default: all. */
  named?: number;
  /** How long discovery keeps what says nothing; as the product has it unless said otherwise. A store has half of it for an answer. */
  ttl?: string;
  /** `file`: on the hosts themselves. */
  discovery?: string;
}

/** What a replay of the trace saw. */
export interface Seen {
  answered: number;
  /** Requests that failed before the first byte of an answer, and after: `SYMPTOM at 3.1 s`. */
  lostUnsent: string[];
  cutMidway: string[];
  /** Longest wait for a first token, and longest silence within an answer. */
  longestTtftMs: number;
  longestGapMs: number;
}

/** Test hosts, an etcd, and a recipe that is served on them by the command line of this machine. */
export class Fleet implements AsyncDisposable {
  readonly net: TestHosts;
  readonly store: EtcdDoor;
  readonly box = new Sandbox();
  readonly hostsFile: string;
  readonly recipe: string;
  readonly #options: FleetOptions;
  readonly #before = new Map<string, string[]>();
  #load: LongCommand | undefined;

  private constructor(net: TestHosts, store: EtcdDoor, options: FleetOptions) {
    this.net = net;
    this.store = store;
    this.#options = options;
    this.hostsFile = this.writeHosts(net.hosts.slice(0, options.named));
    this.recipe = this.writeRecipe(options.workers);
    for (const host of net.hosts) this.#before.set(host.name, host.processes());
  }

  /** The hosts file with those hosts. Returns its path. */
  writeHosts(hosts: readonly TestHost[]): string {
    const entries = hosts.map((host) => ({ ...this.net.entry(host), ...this.#options.entry }));
    return this.box.file('hosts.yaml', JSON.stringify({ hosts: entries }));
  }

  /** The recipe with those workers. Returns its path. */
  writeRecipe(workers: string): string {
    const etcd = `{ backend: etcd, endpoints: ['${this.store.endpoint}'], ttl: ${this.#options.ttl ?? '10s'} }`;
    return this.box.file(
      'fleet.yaml',
      `name: fleet
model: mock-model
engine: mocker
discovery: ${this.#options.discovery ?? etcd}
startLease: 20s
frontend: { port: auto, startTimeout: 3m, restart: ${RESTART} }
workers: ${workers}
`,
    );
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const net = await TestHosts.start(options.hosts, options.host);
    try {
      return new Fleet(net, await EtcdDoor.open(net), options);
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  host(name: string): TestHost {
    return this.net.hosts.find((host) => host.name === name)!;
  }

  serve(...more: string[]) {
    return this.box.run('serve', this.recipe, '--hosts', this.hostsFile, '--detach', ...more);
  }

  /** Serves, and waits until all is ready. */
  async served(...more: string[]): Promise<DeploymentSnapshot> {
    const { code, stderr, stdout } = await this.serve(...more);
    expect(code, `${stderr}\n${stdout}`).toBe(0);
    return this.ready();
  }

  async is(what: string, test: (snapshot: DeploymentSnapshot) => boolean): Promise<DeploymentSnapshot> {
    let last: DeploymentSnapshot | undefined;
    return waitFor(
      what,
      async () => {
        last = await this.box.status('fleet').catch(() => undefined);
        return last && test(last) ? last : undefined;
      },
      PATIENCE_MS,
    ).catch((error: Error) => {
      const processes = last?.processes.map((one) => `${one.name} ${one.host} ${one.state} ${one.pid}`);
      const events = this.box.events('fleet').slice(-25);
      throw new Error(
        `${error.message}; ${last?.state}: ${processes?.join(', ')}; ${JSON.stringify(last?.agents)}\n${events.map((event) => JSON.stringify(event)).join('\n')}`,
      );
    });
  }

  ready(): Promise<DeploymentSnapshot> {
    return this.is(
      'fleet to be ready',
      ({ state, processes, agents, controller }) =>
        state === 'ready' &&
        controller !== null &&
        agents.every(({ pid, storeProblem }) => pid !== null && storeProblem === null) &&
        processes.every(({ pid }) => pid !== null),
    );
  }

  /** Ends a process where it runs. */
  kill({ host, pid }: { host: string; pid: number | null }): void {
    this.host(host).run(`kill -KILL ${pid}`);
  }

  /** Replays the Mooncake trace until `end`. The first answers have come when it resolves. */
  async load(endpoint: string): Promise<{ end(): Promise<Seen> }> {
    const dir = path.join(this.box.home, `bench-${performance.now()}`);
    const began = Date.now();
    this.#load?.signal('SIGKILL'); // of a test that failed: its answers are not ours
    const bench = this.box.start(
      ...[
        'bench',
        endpoint,
        '--model',
        'mock-model',
        '--trace',
        MOONCAKE,
        '--max-rows',
        '8000',
        '--speedup-ratio',
        '5',
      ],
      ...['--max-isl', '1024', '--max-osl', '96', '--failed-request-threshold', '100000', '--artifact-dir', dir],
      ...['--request-timeout-seconds', '60', '--benchmark-grace-period', '60', '--no-chart'],
    );
    this.#load = bench;
    const served = () => requestsServed(endpoint);
    const first = await served();
    await waitFor('answers to the load', async () => (await served()) > first + 5, PATIENCE_MS);
    return {
      end: async () => {
        const before = await served();
        // What is under way is part of it, and some that came after the fault.
        await waitFor('answers after the fault', async () => (await served()) > before + 5, PATIENCE_MS);
        bench.signal('SIGINT');
        await bench.exited;
        return readSeen(path.join(dir, 'profile_export.jsonl'), began, bench.stdout + bench.stderr);
      },
    };
  }

  /** Stops it; nothing of ours is left on any host, here, or in the store. */
  async stopsClean(): Promise<void> {
    const stop = await this.box.run('stop', 'fleet');
    expect(stop.stderr).toBe('');
    expect(stop.code).toBe(0);
    await this.nothingLeft();
  }

  async nothingLeft(): Promise<void> {
    await waitFor('nothing to be left here', () => this.box.processes().length === 0);
    for (const host of this.net.hosts) {
      await waitFor(`nothing of ours to run on ${host.name}`, () => host.processes().length === 0).catch(
        (error: Error) => {
          throw new Error(`${error.message}: ${host.processes().join('; ')}`);
        },
      );
      const sockets = host.run('find ~ /tmp /run -type s -path "*dynamo*"').trim();
      expect(sockets, host.name).toBe('');
      // A process that is ending has lost its command line before it lets go of its files.
      const held = 'for f in $(find ~ /tmp /run -name "*.lock"); do flock -n $f true || echo $f; done';
      await waitFor(`every lock on ${host.name} to be free`, () => host.run(held).trim() === '');
    }
    const client = new Etcd3({ hosts: this.store.etcd.url });
    try {
      expect(await client.getAll().keys()).toEqual([]);
    } finally {
      client.close();
    }
  }

  /** Types and messages of events that came after a moment, without the noise of healthy life. */
  events(since: number, type?: string): string[] {
    return this.box
      .events('fleet')
      .filter((event) => Date.parse((event as unknown as { at: string }).at) >= since)
      .filter((event) => type === undefined || event.type === type)
      .map((event) => `${event.type} ${event.process ?? ''} ${event.message}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
    await this.net[Symbol.asyncDispose]();
  }
}

export const named = (snapshot: DeploymentSnapshot, name: string): ProcessSnapshot =>
  snapshot.processes.find((process) => process.name === name)!;

/** `NAME PID` of every process but those. */
export const pidsOf = (snapshot: DeploymentSnapshot, ...except: string[]): string[] =>
  snapshot.processes.filter(({ name }) => !except.includes(name)).map(({ name, pid }) => `${name} ${pid}`);

/** Finished requests of the frontend; 0 while it cannot be asked. */
async function requestsServed(endpoint: string): Promise<number> {
  const text = await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.text(),
    () => '',
  );
  return [...text.matchAll(/^dynamo_frontend_requests_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

interface Line {
  metadata: {
    request_start_ns: number;
    request_end_ns: number;
    was_cancelled: boolean;
    content_chunks: number;
    longest_gap_ns: number;
  };
  metrics: { time_to_first_token?: { value: number } };
  error: { code: number | null; type: string; message: string } | null;
}

function readSeen(file: string, began: number, output: string): Seen {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new Error(`the load left no report: ${output}`);
  }
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
  const failed = lines.filter(({ error, metadata }) => error !== null && !metadata.was_cancelled);
  const told = ({ error, metadata }: Line) =>
    `${error?.code ?? '-'} ${error?.type}: ${error?.message} at ${((metadata.request_end_ns / 1e6 - began) / 1e3).toFixed(1)} s`;
  const ok = lines.filter(({ error, metadata }) => error === null && !metadata.was_cancelled);
  return {
    answered: ok.length,
    lostUnsent: failed.filter(({ metadata }) => metadata.content_chunks === 0).map(told),
    cutMidway: failed.filter(({ metadata }) => metadata.content_chunks > 0).map(told),
    longestTtftMs: Math.round(Math.max(0, ...ok.map(({ metrics }) => metrics.time_to_first_token?.value ?? 0))),
    longestGapMs: Math.round(Math.max(0, ...ok.map(({ metadata }) => metadata.longest_gap_ns / 1e6))),
  };
}

/** One line for whoever reads the output of the test. */
export function tell(what: string, seen: Seen): Seen {
  const { answered, lostUnsent, cutMidway, longestTtftMs, longestGapMs } = seen;
  console.info(
    `${what}: ${answered} answered, ${lostUnsent.length} lost before the first byte, ${cutMidway.length} cut midway; ` +
      `longest wait for a first token ${longestTtftMs} ms, longest gap ${longestGapMs} ms`,
  );
  return seen;
}
