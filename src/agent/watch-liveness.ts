import { pause } from '../base/abort.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { runCheck } from '../supervise/probes.ts';

/**
 * Looks at a ready process as its spec says. Resolves with the reason once it counts as dead; with undefined when the signal
 * aborts, when it is not ready any more, or when it is never looked at.
 */
export async function watchLiveness(
  spec: ProcessSpec,
  isReady: () => boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const rule = spec.liveness;
  if (!rule) return undefined;
  for (let misses = 0; !signal.aborted; ) {
    await pause(rule.periodMs, signal);
    if (signal.aborted || !isReady()) return undefined;
    const result = await runCheck(rule.check, spec, rule.timeoutMs, signal);
    if (signal.aborted) return undefined;
    misses = result.ok ? 0 : misses + 1;
    if (misses >= rule.failures) return `${misses} checks in a row failed: ${result.detail}`;
  }
  return undefined;
}
