import type { Engine } from '../../src/engines/engine.ts';
import type { WorkerPlacement, WorkerSettings } from '../../src/engines/worker.ts';

/** A worker as a plan describes it to its engine: a decode worker of model `m` unless changed. */
export function workerSettings(change: Partial<WorkerSettings> = {}): WorkerSettings {
  return {
    path: ['workers', change.role ?? 'decode'],
    role: 'decode',
    model: 'org/m',
    modelConfig: null,
    servedModelName: 'm',
    args: {},
    env: {},
    gpus: undefined,
    nodes: 1,
    replicas: 1,
    port: undefined,
    url: null,
    command: null,
    kvTransfer: { connector: 'nixl', lease: undefined, loadFailurePolicy: 'fail' },
    kvEvents: false,
    kvOffload: null,
    load: null,
    workersPerGpu: 1,
    ...change,
  };
}

/** What a plan has decided for it. Ports count up from 9000 in the order the engine wishes for them. */
export function workerPlacement(
  engine: Engine,
  worker: WorkerSettings,
  change: Partial<WorkerPlacement> = {},
): WorkerPlacement {
  const wishes = engine.ports(worker);
  return {
    address: '127.0.0.1',
    ports: Object.fromEntries(wishes.map(({ purpose }, index) => [purpose, String(9_000 + index)])),
    gpus: [0],
    peerGpus: [],
    peerHosts: [],
    node: null,
    drain: engine.defaults.drain,
    selfCommand: ['dynamo'],
    startTimeoutMs: 90_500,
    ...change,
  };
}

/** The words after a flag in an argv, up to the next flag; `undefined` when it is not there. */
export function flagValues(argv: readonly string[], flag: string): string[] | undefined {
  const at = argv.indexOf(flag);
  if (at < 0) return undefined;
  const end = argv.findIndex((word, index) => index > at && word.startsWith('--'));
  return argv.slice(at + 1, end < 0 ? undefined : end);
}
