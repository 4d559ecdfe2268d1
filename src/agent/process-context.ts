import type { ProcessSnapshot, ProcessState } from '../deployment/snapshot.ts';
import type { AgentPaths } from '../deployment/state-dir.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentJournal, JournalProcess } from './agent-journal.ts';
import type { PeerState } from './crash/crash-report.ts';
import type { CrashReporter } from './crash/crash-reporter.ts';
import type { FreshPorts } from './fresh-ports.ts';
import type { SharedMemoryWatch } from './shared-memory-watch.ts';

/** What a gang asks of its processes: of those an agent runs and of those it only looks at. */
export interface GangProcess {
  readonly spec: ProcessSpec;
  readonly state: ProcessState;
  readonly generation: number;
  readonly running: boolean;
  /** What must be in the journal before `spawn`; undefined while an incarnation is alive. */
  nextIncarnation(): Promise<Partial<JournalProcess> | undefined>;
  spawn(): Promise<void>;
  launch(): void;
  /** Takes up what an earlier agent left. */
  adopt(): Promise<void>;
  /** The gang is committed. */
  settled(): void;
  /** Resolves when ready; rejects with the reason it never will be. */
  whenReady(): Promise<void>;
  /** Says what it is waiting for, beyond its own checks. */
  waitFor(what: string): void;
  markDraining(what: string): void;
  stop(killAfterMs: number): Promise<void>;
  /** Ends it at once as if it had failed by itself: its restart policy applies. */
  fail(reason: string): void;
  startAgain(): Promise<void>;
  snapshot(): ProcessSnapshot;
}

/** What a supervised process needs from its agent. */
export interface ProcessContext {
  paths: AgentPaths;
  journal: AgentJournal;
  events: EventLog;
  /** Ends with the agent. */
  signal: AbortSignal;
  /** In [0, 1). */
  random(): number;
  /** Whether the gang is committed: only then a restart policy applies. */
  mayRestart(): boolean;
  lockFds(spec: ProcessSpec): number[];
  freshPorts: FreshPorts;
  sharedMemory: SharedMemoryWatch;
  /** Environment of the engine, without the run id. */
  environment(spec: ProcessSpec): NodeJS.ProcessEnv;
  /** The checks passed: prove pairs and publish. Rejecting means it is not ready after all. */
  onReady(process: GangProcess, signal: AbortSignal): Promise<void>;
  crashes: CrashReporter;
  /** The workers it exchanges KV cache with, on this host. */
  peers(spec: ProcessSpec): PeerState[];
  /** It ended unasked: withdraw it. */
  onGone(process: GangProcess): void;
  /** Resolves when it may be started again; rejects when it never may. */
  beforeRestart(process: GangProcess, signal: AbortSignal): Promise<void>;
  changed(): void;
}
