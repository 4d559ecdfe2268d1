import type { ProcessSnapshot } from '../deployment/snapshot.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { JournalProcess } from './agent-journal.ts';
import type { ProcessStatus } from './process-status.ts';

/** What a process shows of itself: what its spec, its journal entry and its status say, and what only its owner knows. */
export function processSnapshot(
  spec: ProcessSpec,
  { incarnation, restarts }: JournalProcess,
  { state, waitingFor, inStateMs }: ProcessStatus,
  own: Pick<ProcessSnapshot, 'pid' | 'lastExit' | 'startPhases' | 'logFile'>,
): ProcessSnapshot {
  const { name, role, engine, host, url, ports, gpus } = spec;
  const { pid, lastExit, startPhases, logFile } = own;
  return {
    ...{ name, role, engine, host, state, waitingFor, pid, generation: incarnation, restarts, url, ports, gpus },
    ...{ lastExit, inStateMs, startPhases, logFile },
  };
}
