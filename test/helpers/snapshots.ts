import { composeSnapshot } from '../../src/deployment/compose-snapshot.ts';
import type { DeploymentRecord } from '../../src/deployment/record.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../../src/deployment/snapshot.ts';
import type { AgentStatus } from '../../src/supervise/protocol.ts';
import { trivialPlan, trivialProcess } from './trivial-plan.ts';

/** The record of a deployment with one frontend, one prefill and one decode worker. */
export function makeRecord(overrides: Partial<DeploymentRecord> = {}): DeploymentRecord {
  const worker = (name: string, role: 'frontend' | 'prefill' | 'decode', port: number) =>
    trivialProcess(name, { role, ports: { http: port }, url: `http://127.0.0.1:${port}` });
  const plan = trivialPlan(
    'demo',
    [worker('prefill-0', 'prefill', 8101), worker('decode-0', 'decode', 8201), worker('frontend', 'frontend', 8000)],
    { models: ['tiny'], endpoint: 'http://127.0.0.1:8000', pairs: [{ prefill: 'prefill-0', decode: 'decode-0' }] },
  );
  return {
    schemaVersion: 1,
    name: 'demo',
    recipeFile: 'demo.yaml',
    recipeHash: 'r',
    recipeText: '',
    plan,
    planHash: 'p',
    generation: 1,
    phase: 'committed',
    startedAt: '2026-01-01T00:00:00.000Z',
    error: null,
    ...overrides,
  };
}

/** What an agent tells when all processes of the record are ready and the pair is proven. */
export function makeStatus(
  record: DeploymentRecord,
  processes: Record<string, Partial<ProcessSnapshot>> = {},
  overrides: Partial<AgentStatus> = {},
): AgentStatus {
  return {
    host: 'local',
    identity: { bootId: 'b', pidNamespace: 'n', pid: 99, startTime: '1', runId: 'agent' },
    phase: 'committed',
    generation: record.generation,
    planHash: record.planHash,
    inDoubt: false,
    storeProblem: null,
    processes: record.plan.processes.map((spec, index) => ({
      name: spec.name,
      role: spec.role,
      engine: spec.engine,
      host: spec.host,
      state: 'ready',
      waitingFor: null,
      pid: 100 + index,
      generation: 1,
      restarts: 0,
      url: spec.url,
      ports: spec.ports,
      gpus: spec.gpus,
      lastExit: null,
      inStateMs: 61_000,
      startPhases: [],
      logFile: `/logs/${spec.name}.log`,
      ...processes[spec.name],
    })),
    pairs: record.plan.pairs.map((pair) => ({ ...pair, state: 'proven', detail: '12 ms' })),
    ...overrides,
  };
}

/** The view an attended deployment gives, `processes` changed by name. */
export function makeSnapshot(
  processes: Record<string, Partial<ProcessSnapshot>> = {},
  overrides: Partial<DeploymentSnapshot> = {},
): DeploymentSnapshot {
  const record = makeRecord();
  const agents = new Map([['local', makeStatus(record, processes)]]);
  return { ...composeSnapshot({ record, epoch: 1, controllerPid: 98, agents }), ...overrides };
}
