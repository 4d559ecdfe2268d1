import { sleep } from '../base/abort.ts';
import { formatDuration } from '../base/duration.ts';
import { DynamoError } from '../base/errors.ts';
import { diagnose, diagnoseHang } from '../engines/engine.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import { PHASE_WORDS, type StartPhase } from '../engines/start-phase.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { describeCheck, runCheck } from '../supervise/probes.ts';
import { lostPorts } from './lost-ports.ts';
import { StartProgress } from './start-progress.ts';

const FIRST_PAUSE_MS = 15;
const LONGEST_PAUSE_MS = 500;
const CHECK_TIMEOUT_MS = 5_000;
/** The first token of a cold engine may need kernels compiled. */
const GENERATE_TIMEOUT_MS = 60_000;
/** Far enough back to find what phase a start is in. */
const PROGRESS_LINES = 40;
/** How often somebody else on its ports is looked for while it starts: a stranger there is known before the weights are loaded. */
const STRANGERS_EVERY_MS = 2_000;
/** Far enough back to find an error that others follow. */
const HISTORY_LINES = 200;

export interface ReadinessOptions {
  /** Newest lines of the process's output: what it is doing. */
  lastLines(count: number): string[];
  /** What it is waiting for, whenever that changes. */
  onWaiting(text: string): void;
  /** The phase of its start that its output names, at every look. */
  onPhase?(phase: StartPhase): void;
  /** Throws when it is somebody else who listens on its ports. Absent: whoever answers is the process. */
  refuseStrangers?(): Promise<void>;
  signal: AbortSignal;
}

/**
 * Waits until every check of the process has passed, in order, and it was the process that answered. Throws `NOT_READY` at
 * `startTimeoutMs` with what was missing and what the process was doing; rejects with the signal's reason when it ends first.
 */
export async function awaitReadiness(spec: ProcessSpec, options: ReadinessOptions): Promise<void> {
  const end = performance.now() + spec.startTimeoutMs;
  const progress = new StartProgress(spec);
  let looked = performance.now();
  for (const check of spec.readiness) {
    const patienceMs = check.kind === 'generate' ? GENERATE_TIMEOUT_MS : CHECK_TIMEOUT_MS;
    let said = '';
    let detail = '';
    for (let interval = FIRST_PAUSE_MS; ; interval = Math.min(interval * 1.3, LONGEST_PAUSE_MS)) {
      const timeoutMs = Math.max(1, Math.min(patienceMs, end - performance.now()));
      const result = await runCheck(check, spec, timeoutMs, options.signal);
      options.signal.throwIfAborted();
      if (result.ok || performance.now() - looked >= STRANGERS_EVERY_MS) {
        await options.refuseStrangers?.();
        looked = performance.now();
      }
      if (result.ok) break;
      const late = performance.now() >= end;
      // A check cut short by the deadline says less than the one before it.
      if (!late || detail === '') detail = result.detail;
      const lines = options.lastLines(PROGRESS_LINES);
      refuseHang(spec, lines);
      const { phase, line } = progress.read(lines, performance.now());
      if (phase) options.onPhase?.(phase);
      const words = phase && PHASE_WORDS[phase];
      if (late) {
        // It may have failed long ago and not ended of it.
        const known = isEngineName(spec.engine)
          ? diagnose(findEngine(spec.engine), options.lastLines(HISTORY_LINES))
          : undefined;
        const told = progress.describe(performance.now());
        throw new DynamoError(
          'NOT_READY',
          `${spec.name} was not ready within ${formatDuration(spec.startTimeoutMs)}: waited for ${describeCheck(check)} (${detail})${known ? `; its output tells: ${known.cause}` : ''}`,
          { hint: known ? `${known.fix} ${told}` : told },
        );
      }
      const text = [describeCheck(check), ...(words ? [words] : []), ...(line ? [`it says: ${line}`] : [])].join('; ');
      if (text !== said) options.onWaiting(text);
      said = text;
      await sleep(Math.min(interval, Math.max(1, end - performance.now())), options.signal);
    }
  }
}

/** Throws when the output shows that it will never be ready, though the process lives. */
function refuseHang(spec: ProcessSpec, lines: readonly string[]): void {
  const known = isEngineName(spec.engine) ? diagnoseHang(findEngine(spec.engine), lines) : undefined;
  if (!known) return;
  throw new DynamoError(known.code, `${spec.name} cannot become ready: ${known.cause}`, {
    hint: known.fix,
    ports: known.code === 'PORT_IN_USE' ? lostPorts(spec, known, lines, false) : [],
  });
}
