import { randomUUID } from 'node:crypto';
import { fileSize } from '../supervise/log-tail.ts';
import type { JournalProcess } from './agent-journal.ts';
import type { FreshPorts } from './fresh-ports.ts';

/**
 * The journal entry of the life after this one: its number, its run id, where its output begins, and ports of its own. `mayMove`:
 * whether it may leave ports that a stranger has taken; before the commit the controller's plan names them.
 */
export async function nextIncarnation(
  { incarnation, runId, spec }: JournalProcess,
  freshPorts: FreshPorts,
  logFile: string,
  mayMove: boolean,
): Promise<Partial<JournalProcess>> {
  // A name that was used before a scaling has had lives that this journal does not know.
  const lives = runId === '' ? incarnation : 1;
  return {
    incarnation: incarnation + 1,
    runId: randomUUID(),
    logOffset: fileSize(logFile),
    ...(incarnation === 0 ? {} : { spec: await freshPorts.renew(spec, lives, mayMove) }),
  };
}
