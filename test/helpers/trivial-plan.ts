import type { LaunchPlan, ProcessSpec } from '../../src/plan/launch-plan.ts';
import type { StartRequest } from '../../src/supervise/protocol.ts';

/** A process that does nothing but live, with a grandchild that has left its session: what a supervisor must not lose. */
export const FOREVER = ['/bin/sh', '-c', 'setsid sleep 600 & exec sleep 600'];

export function trivialProcess(name: string, overrides: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    role: 'aggregated',
    host: 'local',
    model: null,
    engine: null,
    argv: FOREVER,
    env: {},
    cwd: null,
    ports: {},
    fixedPorts: [],
    gpus: [],
    url: 'http://127.0.0.1:1',
    readiness: [],
    liveness: null,
    startTimeoutMs: 60_000,
    restart: {
      policy: 'on-failure',
      backoff: { initialMs: 50, maxMs: 200, factor: 2 },
      resetAfterMs: 60_000,
      maxRestarts: 3,
    },
    drain: { inFlightMs: 1_000, killAfterMs: 2_000 },
    kvTransfer: null,
    kvBlockSize: null,
    reasons: [],
    ...overrides,
  };
}

export function trivialPlan(
  deployment: string,
  processes: ProcessSpec[],
  overrides: Partial<LaunchPlan> = {},
): LaunchPlan {
  return {
    deployment,
    models: [],
    hosts: ['local'],
    processes,
    stages: [processes.map((process) => process.name)],
    pairs: [],
    endpoint: 'http://127.0.0.1:1',
    discovery: { backend: 'file', ttlMs: 2_000 },
    // Tests in which a controller dies before the commit wait for it: they say one of their own.
    startLeaseMs: 20_000,
    warnings: [],
    ...overrides,
  };
}

export function startRequest(dir: string, plan: LaunchPlan): StartRequest {
  return {
    deployment: plan.deployment,
    dir,
    recipeFile: 'test.yaml',
    recipeHash: `recipe-${plan.deployment}`,
    recipeText: '',
    planHash: `plan-${plan.deployment}`,
    plan,
    ephemeral: false,
  };
}
