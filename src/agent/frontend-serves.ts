import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { runCheck } from '../supervise/probes.ts';

const DEADLINE_MS = 30_000;

/** Waits until a frontend serves every model. Throws `NOT_READY` with what it misses. */
export async function frontendServes(spec: ProcessSpec, signal: AbortSignal): Promise<void> {
  let detail = '';
  const serves = await until(
    async () => {
      const result = await runCheck({ kind: 'http', path: '/health' }, spec, 2_000, signal);
      detail = result.detail;
      return result.ok ? true : undefined;
    },
    { deadlineMs: DEADLINE_MS, intervalMs: 10, signal },
  );
  if (!serves) throw new DynamoError('NOT_READY', `${spec.name} did not see every model in discovery: ${detail}`);
}
