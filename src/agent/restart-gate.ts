import { anySignal } from '../base/abort.ts';
import { awaitOwnPorts } from './await-ports.ts';
import type { GangProcess, ProcessContext } from './process-context.ts';
import type { ProcessStatus } from './process-status.ts';

/**
 * Waits until a process may be started again: its ports are free, and after a crash the rest of its group has ended too. Resolves with
 * false when the signal aborts first, or the agent ends; throws when it never may.
 */
export async function mayStartAgain(
  process: GangProcess,
  context: ProcessContext,
  status: ProcessStatus,
  signal: AbortSignal,
  isCrash: boolean,
): Promise<boolean> {
  const either = anySignal(signal, context.signal);
  try {
    await awaitOwnPorts(process.spec, {
      onWaiting: (text) => {
        context.events.write('port-taken', `its start waits for ${text}`, process.spec.name);
        status.set('backoff', text);
      },
      random: context.random,
      signal: either,
    });
    if (isCrash) await context.beforeRestart(process, either);
  } catch (error) {
    if (!either.aborted) throw error;
  }
  return !either.aborted;
}
