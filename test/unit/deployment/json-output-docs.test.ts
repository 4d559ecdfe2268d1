import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { ROLES } from '../../../src/base/role.ts';
import { composeSnapshot } from '../../../src/deployment/compose-snapshot.ts';
import type { DeploymentRecord } from '../../../src/deployment/record.ts';
import type {
  AgentSnapshot,
  DeploymentState,
  ExitSnapshot,
  PairSnapshot,
  ProcessSnapshot,
  ProcessState,
} from '../../../src/deployment/snapshot.ts';
import type { GpuUse } from '../../../src/hosts/gpu-use.ts';
import type { LinkState } from '../../../src/hosts/link-state.ts';
import type { EventRecord } from '../../../src/supervise/protocol.ts';
import { trivialPlan, trivialProcess } from '../../helpers/trivial-plan.ts';

const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/json-output.md'), 'utf8');

/** Rows of the table under a heading: field → meaning. */
function documented(heading: string): Map<string, string> {
  const section = page.split(/^#{2,3} /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return new Map([...section.matchAll(/^\| `(\w+)` \|[^|]*\| (.*) \|$/gm)].map((match) => [match[1]!, match[2]!]));
}

/** Values in back-quotes before the first semicolon. */
const values = (meaning = '') => [...meaning.split(';')[0]!.matchAll(/`([\w-]+)`/g)].map((match) => match[1]!).sort();

const exit: ExitSnapshot = {
  code: null,
  signal: 'SIGKILL',
  at: '',
  reason: '',
  lastLines: [],
  cause: null,
  fix: null,
  report: null,
};
const event: EventRecord = { at: '', source: '', process: null, type: '', message: '' };
const plan = trivialPlan('demo', [trivialProcess('known'), trivialProcess('unseen')], {
  pairs: [{ prefill: 'known', decode: 'unseen' }],
});
const known: ProcessSnapshot = {
  name: 'known',
  role: 'aggregated',
  engine: 'mocker',
  host: 'local',
  state: 'backoff',
  waitingFor: null,
  pid: 1,
  generation: 2,
  restarts: 1,
  url: '',
  ports: {},
  gpus: [],
  lastExit: exit,
  inStateMs: 0,
  startPhases: [{ phase: 'start', ms: 1 }],
  logFile: '',
};
const gpu: GpuUse = {
  index: 0,
  name: '',
  utilisation: null,
  memoryUsedBytes: null,
  memoryBytes: null,
  powerW: null,
  temperatureC: null,
};
const link: LinkState = { name: '', kind: 'rdma', up: true, state: '', rateGbps: null };
const record: DeploymentRecord = {
  schemaVersion: 1,
  name: 'demo',
  recipeFile: 'demo.yaml',
  recipeHash: '',
  recipeText: '',
  plan,
  planHash: '',
  generation: 1,
  phase: 'failed',
  startedAt: '',
  startSteps: [{ step: 'agents', ms: 1, hosts: [{ host: 'local', ms: 1, parts: [] }] }],
  error: new DynamoError('PORT_IN_USE', 'taken', {
    ports: [{ process: 'known', purpose: 'http', port: 8100 }],
  }).toJSON(),
};
const snapshot = composeSnapshot({
  record,
  epoch: 1,
  controllerPid: 42,
  agents: new Map([
    [
      'local',
      {
        host: 'local',
        identity: { bootId: '', pidNamespace: '', pid: 2, startTime: '', runId: 'agent' },
        phase: 'committed',
        generation: 1,
        planHash: '',
        inDoubt: false,
        storeProblem: null,
        processes: [known],
        pairs: [],
        gpus: [gpu],
        links: [link],
        suspicions: [{ frontend: 'frontend', worker: 'known', why: 'silent', forMs: 1 }],
      },
    ],
  ]),
});

describe('docs/json-output.md', () => {
  it.each<[string, object]>([
    ['Snapshot', snapshot],
    ['Step', snapshot.startSteps![0]!],
    ['Controller', snapshot.controller!],
    ['Agent', snapshot.agents[0]!],
    ['Host', snapshot.hosts![0]!],
    ['GPU', gpu],
    ['Link', link],
    ['Process', snapshot.processes[0]!],
    ['Process', snapshot.processes[1]!],
    ['Phase', snapshot.processes[0]!.startPhases[0]!],
    ['Exit', snapshot.processes[0]!.lastExit!],
    ['Pair', snapshot.pairs[0]!],
    ['Suspicion', snapshot.suspicions![0]!],
    ['Error', snapshot.error!],
    ['Event', event],
  ])('%s: exactly the fields a real one has, in that order', (heading, object) => {
    expect([...documented(heading).keys()]).toEqual(Object.keys(object));
  });

  it('names every state', () => {
    const deployment: Record<DeploymentState, true> = {
      starting: true,
      ready: true,
      degraded: true,
      failed: true,
      stopping: true,
      stopped: true,
    };
    const process: Record<ProcessState, true> = {
      pending: true,
      prepared: true,
      starting: true,
      ready: true,
      draining: true,
      stopping: true,
      exited: true,
      backoff: true,
      failed: true,
      unknown: true,
    };
    const agent: Record<AgentSnapshot['state'], true> = {
      connected: true,
      lost: true,
      'in-doubt': true,
      stopped: true,
    };
    const pair: Record<PairSnapshot['state'], true> = { unproven: true, proven: true, failed: true };
    expect(values(documented('Snapshot').get('state'))).toEqual(Object.keys(deployment).sort());
    expect(values(documented('Process').get('state'))).toEqual(Object.keys(process).sort());
    expect(values(documented('Agent').get('state'))).toEqual(Object.keys(agent).sort());
    expect(values(documented('Pair').get('state'))).toEqual(Object.keys(pair).sort());
    expect(values(documented('Process').get('role'))).toEqual([...ROLES].sort());
  });
});
