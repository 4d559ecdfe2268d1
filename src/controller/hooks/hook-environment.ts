import { readFileSync } from 'node:fs';
import type { EnvValue, HookEvent, HookSpec, LaunchPlan } from '../../plan/launch-plan.ts';

const EVENT_NAMES: Record<HookEvent, string> = { onReady: 'ready', onFailure: 'failure', onStop: 'stop' };

/** What a hook finds in its environment: the controller's own, the event, then what the recipe says. */
export function hookEnvironment(
  plan: LaunchPlan,
  event: HookEvent,
  { hook, reason, dir, base }: { hook: HookSpec; reason: string; dir: string; base: NodeJS.ProcessEnv },
): NodeJS.ProcessEnv {
  const { DYNAMO_CRASH_AT: _, ...inherited } = base;
  const own = Object.entries(hook.env).flatMap(([name, value]) => {
    const text = resolve(value, base);
    return text === undefined ? [] : [[name, text]];
  });
  return {
    ...inherited,
    DYNAMO_DEPLOYMENT: plan.deployment,
    DYNAMO_URL: plan.endpoint,
    DYNAMO_MODELS: plan.models.join(','),
    DYNAMO_EVENT: EVENT_NAMES[event],
    DYNAMO_REASON: reason,
    DYNAMO_STATE_DIR: dir,
    ...Object.fromEntries(own),
  };
}

/** A secret that is not there leaves its variable unset: a hook fails no start, and its own log says what it lacked. */
function resolve(value: EnvValue, base: NodeJS.ProcessEnv): string | undefined {
  if (typeof value === 'string') return value;
  if ('fromEnv' in value) return base[value.fromEnv];
  try {
    return readFileSync(value.fromFile, 'utf8').trim();
  } catch {
    return undefined;
  }
}
