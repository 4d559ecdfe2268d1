import { until } from '../../src/base/until.ts';
import { createDiscovery } from '../../src/discovery/create-discovery.ts';
import { DEFAULT_DISCOVERY_TTL_MS, type Instance } from '../../src/discovery/discovery.ts';
import { freePort } from '../helpers/free-port.ts';
import { type Child, startChild, startScript } from './support/child.ts';
import { cpuSeconds, hasProc } from './support/proc.ts';
import { type Figure, median, type Scenario, type ScenarioContext } from './support/scenario.ts';

const EVENTS = 128;
const CONNECTIONS = 32;
const DEPLOYMENT = 'bench';

/** What is measured through each path. */
const LOADS = [
  { kind: 'whole', requests: 4_000, per: 1_000, unit: 'CPU s per 1k requests', label: 'tiny requests, not streamed' },
  {
    kind: 'stream',
    requests: 1_000,
    per: 1_000_000 / EVENTS,
    unit: 'CPU s per 1M events',
    label: `streams of ${EVENTS} events`,
  },
] as const;
type Load = (typeof LOADS)[number];

/** A way from the load to the fake engine; `pid` is the process in between, null for none. */
interface Way {
  name: string;
  port: number;
  pid: number | null;
}

interface Sample {
  /** CPU seconds of the process in between, per unit of the load. */
  proxy: number;
  requestsPerSecond: number;
  /** CPU seconds of load generator and fake engine together, per unit. */
  ends: number;
}

export const scenario: Scenario = {
  name: 'frontend',
  title: 'Frontend: CPU against a bare pipe and against sending directly',
  async run(context) {
    if (!hasProc) return { skipped: 'needs /proc (Linux)' };
    await using upstream = startScript(new URL('./support/fake-upstream.ts', import.meta.url), EVENTS);
    const upstreamPort = await portOf(upstream);
    await using pipe = startScript(new URL('./support/pipe-proxy.ts', import.meta.url), upstreamPort);
    await using roundRobin = await startFrontend(context, upstreamPort, 'round-robin');
    await using kv = await startFrontend(context, upstreamPort, 'kv');
    const ways: Way[] = [
      { name: 'direct', port: upstreamPort, pid: null },
      { name: 'node:net pipe', port: await portOf(pipe), pid: pipe.pid },
      { name: 'frontend, round-robin', port: roundRobin.port, pid: roundRobin.pid },
      { name: 'frontend, kv', port: kv.port, pid: kv.pid },
    ];
    const figures: Figure[] = [];
    for (const load of LOADS) {
      context.say(load.label);
      figures.push(...describe(load, await sampleAll(context, load, ways, upstream.pid)));
    }
    return {
      figures,
      notes: [
        `${CONNECTIONS} connections; load, fake engine and the process in between share the machine's cores.`,
        'CPU seconds are those of the process in between; "direct" has none, its figure is load and fake engine together.',
        'The frontend parses HTTP, checks, routes and counts; the pipe does nothing.',
      ],
    };
  },
};

function describe(load: Load, results: ReadonlyMap<string, Sample>): Figure[] {
  const pipe = results.get('node:net pipe')!;
  const direct = results.get('direct')!;
  return [...results].flatMap(([name, sample]): Figure[] => {
    const own = name === 'direct' ? sample.ends : sample.proxy;
    const what = `${load.label}: ${name}`;
    const rate = load.kind === 'stream' ? sample.requestsPerSecond * EVENTS : sample.requestsPerSecond;
    const cpu: Figure = { what, value: own, unit: load.unit };
    if (name.startsWith('frontend')) Object.assign(cpu, { ratio: own / pipe.proxy, against: 'node:net pipe' });
    const directRate = load.kind === 'stream' ? direct.requestsPerSecond * EVENTS : direct.requestsPerSecond;
    const speed: Figure = { what, value: rate, unit: load.kind === 'stream' ? 'events/s' : 'requests/s' };
    if (name !== 'direct') Object.assign(speed, { ratio: rate / directRate, against: 'direct' });
    return [cpu, speed];
  });
}

/** Medians of several rounds; each round takes every way once, so that a noisy minute hits all of them. */
async function sampleAll(
  context: ScenarioContext,
  load: Load,
  ways: readonly Way[],
  upstreamPid: number,
): Promise<Map<string, Sample>> {
  const requests = context.quick ? load.requests / 10 : load.requests;
  for (const way of ways) await sampleOnce(load, way, upstreamPid, requests / 4);
  const rounds: Sample[][] = [];
  for (let round = 0; round < (context.quick ? 1 : 3); round += 1) {
    const samples: Sample[] = [];
    for (const way of ways) samples.push(await sampleOnce(load, way, upstreamPid, requests));
    rounds.push(samples);
  }
  return new Map(
    ways.map((way, index) => {
      const pick = (key: keyof Sample): number => median(rounds.map((samples) => samples[index]![key]));
      return [way.name, { proxy: pick('proxy'), requestsPerSecond: pick('requestsPerSecond'), ends: pick('ends') }];
    }),
  );
}

async function sampleOnce(load: Load, way: Way, upstreamPid: number, requests: number): Promise<Sample> {
  const pids = { proxy: way.pid, upstream: upstreamPid };
  const before = { proxy: pids.proxy === null ? 0 : cpuSeconds(pids.proxy), upstream: cpuSeconds(upstreamPid) };
  await using generator = startScript(
    new URL('./support/load.ts', import.meta.url),
    way.port,
    CONNECTIONS,
    requests,
    load.kind,
  );
  const { seconds, cpu } = await generator.line(
    (line) => JSON.parse(line) as { seconds: number; cpu: number },
    300_000,
  );
  const units = requests / load.per;
  return {
    proxy: (pids.proxy === null ? 0 : cpuSeconds(pids.proxy) - before.proxy) / units,
    ends: (cpu + cpuSeconds(upstreamPid) - before.upstream) / units,
    requestsPerSecond: requests / seconds,
  };
}

const portOf = (child: Child): Promise<number> => child.line((line) => Number(line) || undefined, 20_000);

/** A frontend that knows the fake engine as its only, aggregated worker. */
async function startFrontend(
  context: ScenarioContext,
  upstreamPort: number,
  mode: string,
): Promise<{ port: number; pid: number } & AsyncDisposable> {
  const root = `${context.folder}/${mode}`;
  const discovery = await createDiscovery(
    { backend: 'file', root },
    { deployment: DEPLOYMENT, ttlMs: DEFAULT_DISCOVERY_TTL_MS },
  );
  const stop = new AbortController();
  const lease = await discovery.register(worker(upstreamPort), { signal: stop.signal });
  const port = await freePort();
  const child = startChild(process.execPath, [
    `${context.root}/dist/cli.js`,
    'frontend',
    '--http-host',
    '127.0.0.1',
    '--http-port',
    String(port),
    '--deployment',
    DEPLOYMENT,
    '--process-name',
    'frontend',
    '--discovery-backend',
    'file',
    '--discovery-root',
    root,
    '--discovery-ttl-ms',
    String(DEFAULT_DISCOVERY_TTL_MS),
    '--router-mode',
    mode,
    '--kv-cache-block-size',
    '64',
  ]);
  const healthy = await until(
    async () => {
      if (child.process.exitCode !== null) throw new Error(`the frontend ended: ${child.stderr()}`);
      const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
      return response?.ok ? true : undefined;
    },
    { deadlineMs: 20_000 },
  );
  if (!healthy) throw new Error(`the frontend is not ready: ${child.stderr()}`);
  return {
    port,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await lease.release();
      stop.abort();
      await discovery[Symbol.asyncDispose]();
    },
  };
}

function worker(port: number): Instance {
  return {
    deployment: DEPLOYMENT,
    name: 'worker-0',
    generation: 1,
    role: 'aggregated',
    host: 'local',
    model: 'bench-model',
    engine: 'mocker',
    url: `http://127.0.0.1:${port}`,
    processStart: null,
    kvBlockSize: 64,
    kvTotalBlocks: 16_384,
    maxModelLen: 131_072,
    maxNumSeqs: 256,
    maxNumBatchedTokens: 8_192,
    kvTransfer: null,
  };
}
