import type { RecipeIssue } from '../recipe/problem.ts';
import type { WorkerSettings } from './worker.ts';

/** A problem for each setting that an engine has nothing for, with the reason. */
export function refuseSettings(
  worker: WorkerSettings,
  reasons: { kvEvents?: string; kvOffload?: string; load?: string },
): RecipeIssue[] {
  const at = (key: string) => [...worker.path, key];
  const set = {
    kvEvents: worker.kvEvents,
    kvOffload: worker.kvOffload !== null,
    load: worker.load !== null && (worker.load.loader !== 'default' || worker.load.compileCache !== undefined),
  };
  return (['kvEvents', 'kvOffload', 'load'] as const).flatMap((key) => {
    const reason = reasons[key];
    return set[key] && reason !== undefined
      ? [{ path: at(key), message: `\`${key}\` cannot be used here: ${reason}` }]
      : [];
  });
}
