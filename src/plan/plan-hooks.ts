import { formatDuration } from '../base/duration.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { HookEvent, HooksSpec, LaunchPlan } from './launch-plan.ts';
import { maskEnv, maskEnvValue } from './secrets.ts';

export const HOOK_EVENTS = ['onReady', 'onFailure', 'onStop'] as const satisfies readonly HookEvent[];

/** What the controller runs on which event; nothing where the recipe has no hooks. */
export function planHooks({ hooks }: Recipe): Pick<LaunchPlan, 'hooks'> {
  if (!hooks) return {};
  const planned: HooksSpec = {};
  for (const event of HOOK_EVENTS) {
    const hook = hooks[event];
    if (hook) planned[event] = { argv: hook.command, timeoutMs: hook.timeout, env: hook.env };
  }
  return { hooks: planned };
}

/** One hook on one line, for people; undefined when there is none. */
export function shownHook({ hooks }: LaunchPlan, event: HookEvent): string | undefined {
  const hook = hooks?.[event];
  if (!hook) return undefined;
  const env = Object.entries(hook.env).map(([name, value]) => `${name}=${maskEnvValue(name, value)} `);
  return `${env.join('')}${describeCommand(hook.argv)}; at most ${formatDuration(hook.timeoutMs)}`;
}

/** As it was written: a line for the shell is shown as that line. */
export function describeCommand(argv: readonly string[]): string {
  const [shell, flag, line] = argv;
  if (argv.length === 3 && shell === '/bin/sh' && flag === '-c') return line!;
  return argv.map(quote).join(' ');
}

export function maskHooks({ hooks }: LaunchPlan): Pick<LaunchPlan, 'hooks'> {
  if (!hooks) return {};
  const masked = Object.entries(hooks).map(([event, hook]) => [event, { ...hook, env: maskEnv(hook.env) }]);
  return { hooks: Object.fromEntries(masked) as HooksSpec };
}

/** As a shell takes it. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./<>-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
