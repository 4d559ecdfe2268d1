import type { AgentPaths } from '../deployment/state-dir.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentJournal } from './agent-journal.ts';
import type { SupervisedProcess } from './supervised-process.ts';

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
  /** Environment of the engine, without the run id. */
  environment(spec: ProcessSpec): NodeJS.ProcessEnv;
  /** The checks passed: prove pairs and publish. Rejecting means it is not ready after all. */
  onReady(process: SupervisedProcess, signal: AbortSignal): Promise<void>;
  /** It ended unasked: withdraw it. */
  onGone(process: SupervisedProcess): void;
  changed(): void;
}
