import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import type { GpuUse } from '../../src/hosts/gpu-use.ts';
import type { LinkState } from '../../src/hosts/link-state.ts';
import { NOTHING, type TrafficPoint } from '../../src/tui/data/traffic.ts';
import type { ViewState } from '../../src/tui/deployment-view.ts';

const folder = path.resolve(import.meta.dirname, '../fixtures/snapshots');

export type Recorded =
  | 'starting'
  /** Weights are being loaded: the phases of each start are known. */
  | 'loading'
  | 'proving'
  | 'ready'
  | 'degraded'
  /** A worker was killed, has a crash report and comes back. */
  | 'crashed'
  | 'failed'
  | 'unattended';

/** A snapshot as a real deployment gave it. */
export function recordedSnapshot(name: Recorded): DeploymentSnapshot {
  return JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as DeploymentSnapshot;
}

/** What the screens would have for a snapshot, with some traffic. */
export function viewOf(snapshot: DeploymentSnapshot, change: Partial<ViewState> = {}): ViewState {
  const isUp = ['ready', 'degraded'].includes(snapshot.state);
  return {
    snapshot,
    snapshotAgeMs: 5_000,
    uptimeMs: 185_000,
    loads: isUp ? loadsOf(snapshot.processes) : {},
    traffic: isUp ? someTraffic() : [],
    events: snapshot.processes.map((process, index) => ({
      seq: index + 1,
      at: '2026-11-21T08:10:15.143Z',
      source: 'agent local',
      process: process.name,
      type: 'state',
      message: 'starting → ready',
    })),
    log: { name: null, lines: [] },
    decisions: [],
    note: null,
    ...change,
  };
}

/** A deployment of one frontend, 33 prefill and 66 decode workers, made from recorded processes. */
export function hundredProcesses(): DeploymentSnapshot {
  const ready = recordedSnapshot('ready');
  const like = (role: string) => ready.processes.find((process) => process.role === role)!;
  const many = (role: string, count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...like(role), name: `${role}-${index}`, pid: 20_000 + index }));
  const processes = [...many('prefill', 33), ...many('decode', 66), like('frontend')];
  const broken = processes[40]!;
  processes[40] = { ...broken, state: 'backoff', restarts: 3, waitingFor: 'its next try in 4.0 s' };
  return { ...ready, state: 'degraded', processes };
}

/**
 * Two hosts of eight GPUs and RDMA links, one of them down, made from recorded processes: a prefill worker on the first, a decode
 * worker over both, and a third host that nobody reaches.
 */
export function severalHosts(): DeploymentSnapshot {
  const ready = recordedSnapshot('ready');
  const like = (role: string, change: Partial<ProcessSnapshot>): ProcessSnapshot => ({
    ...ready.processes.find((process) => process.role === role)!,
    ...change,
  });
  const processes = [
    like('frontend', { host: 'node-a' }),
    like('prefill', { name: 'prefill-0', host: 'node-a', gpus: [0, 1, 2, 3], url: 'http://10.0.0.1:8100' }),
    like('decode', { name: 'decode-0', host: 'node-a', gpus: [4, 5, 6, 7], url: 'http://10.0.0.1:8101' }),
    like('decode', { name: 'decode-0-node1', host: 'node-b', gpus: [0, 1, 2, 3], ports: {} }),
    like('decode', { name: 'decode-1', host: 'node-c', gpus: [0, 1, 2, 3], state: 'unknown', pid: null }),
  ];
  const gpu = { name: 'NVIDIA H200', memoryBytes: 141 * 1024 ** 3, temperatureC: 58 };
  const gpus = (share: number): GpuUse[] =>
    Array.from({ length: 8 }, (_, index) => ({
      ...{ ...gpu, index, utilisation: Math.round(share * 100 * (1 - index / 10)), powerW: 250 + 400 * share },
      memoryUsedBytes: share * gpu.memoryBytes,
    }));
  const links = (down: number): LinkState[] => [
    ...Array.from({ length: 8 }, (_, index): LinkState => {
      const up = index !== down;
      return { name: `mlx5_${index}`, kind: 'rdma', up, state: up ? 'active' : 'down', rateGbps: up ? 400 : null };
    }),
    { name: 'eth0', kind: 'ethernet', up: true, state: 'up', rateGbps: 100 },
  ];
  return {
    ...ready,
    state: 'degraded',
    agents: [
      { host: 'node-a', pid: 1_201, state: 'connected', storeProblem: null },
      { host: 'node-b', pid: 1_202, state: 'connected', storeProblem: null },
      { host: 'node-c', pid: null, state: 'lost', storeProblem: null },
    ],
    hosts: [
      { name: 'node-a', reachable: true, agent: 'connected', gpus: gpus(0.9), links: links(-1) },
      { name: 'node-b', reachable: true, agent: 'connected', gpus: gpus(0.4), links: links(3) },
      { name: 'node-c', reachable: false, agent: 'lost', gpus: [], links: [] },
    ],
    processes,
    pairs: [
      { prefill: 'prefill-0', decode: 'decode-0', state: 'proven', detail: '80 ms, 12 MiB moved' },
      { prefill: 'prefill-0', decode: 'decode-1', state: 'proven', detail: '95 ms, 12 MiB moved' },
    ],
  };
}

function loadsOf(processes: readonly ProcessSnapshot[]): ViewState['loads'] {
  return Object.fromEntries(
    processes
      .filter((process) => process.state === 'ready')
      .map((process, index) => [
        process.name,
        process.role === 'frontend'
          ? { running: 12, waiting: null, kvUsage: null, tokensPerSecond: 1_234 }
          : { running: index, waiting: index % 2, kvUsage: index / 200, tokensPerSecond: index * 100 },
      ]),
  );
}

function someTraffic(): TrafficPoint[] {
  return Array.from({ length: 30 }, (_, index) =>
    index < 5
      ? { ...NOTHING, requestsPerSecond: 0, queued: 0 }
      : {
          requestsPerSecond: index,
          tokensPerSecond: index * 120,
          ttftP50: 0.02 + index / 1_000,
          ttftP99: 0.2,
          itlP50: 0.004,
          itlP99: 0.0095,
          cacheHitRate: index / 40,
          active: index % 7,
          queued: index % 3,
        },
  );
}
