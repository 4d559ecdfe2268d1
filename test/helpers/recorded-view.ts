import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import { NOTHING, type TrafficPoint } from '../../src/tui/data/traffic.ts';
import type { ViewState } from '../../src/tui/deployment-view.ts';

const folder = path.resolve(import.meta.dirname, '../fixtures/snapshots');

export type Recorded = 'starting' | 'proving' | 'ready' | 'degraded' | 'failed' | 'unattended';

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
