import { formatDuration } from '../../base/duration.ts';
import type { ProcessSnapshot } from '../../deployment/snapshot.ts';

/**
 * What the start of a process took, by phase: `import 2.1 s, weights 14.0 s`; the running phase up to now. `sinceMs`: age of the
 * snapshot. Undefined where nobody watched it or its output names no phase. Pure.
 */
export function startPhases({ startPhases: phases = [], state }: ProcessSnapshot, sinceMs: number): string | undefined {
  // One phase is the time in its state, which is told anyway.
  if (phases.filter(({ phase }) => phase !== 'prove').length < 2) return undefined;
  const isRunning = state === 'starting';
  const each = phases.map(({ phase, ms }, index) => {
    const last = index === phases.length - 1;
    return `${phase} ${formatDuration(ms + (isRunning && last ? sinceMs : 0))}`;
  });
  if (isRunning) return each.join(', ');
  return `${formatDuration(phases.reduce((sum, { ms }) => sum + ms, 0))}: ${each.join(', ')}`;
}
