import { diagnose } from '../engines/engine.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/** How far above the end the cause may lie: the other processes of an engine print their own tracebacks after it. */
export const FAR_LINES = 300;
/** That many of them, with lines as long as tracebacks have. */
export const FAR_BYTES = 256 * 1024;

/**
 * The last `count` lines of a process's output, and before them the last one that shows the cause when it is a known one and lies
 * further above. Pure.
 */
export function tellingLines(spec: Pick<ProcessSpec, 'engine'>, far: readonly string[], count: number): string[] {
  const tail = far.slice(-count);
  const known = isEngineName(spec.engine) ? diagnose(findEngine(spec.engine), far) : undefined;
  if (!known || tail.some((line) => known.pattern.test(line))) return tail;
  const cause = far.findLast((line) => known.pattern.test(line))!;
  return [cause, '…', ...tail];
}
