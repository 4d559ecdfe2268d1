import { type Backoff, backoffDelay } from '../base/backoff.ts';

/** How a process ended. `code` and `signal` are both null when nobody saw it. */
export interface ProcessExit {
  code: number | null;
  signal: string | null;
  /** It was ready this long before it ended; 0 if it never was. */
  readyForMs: number;
}

export interface RestartRule {
  policy: 'never' | 'on-failure' | 'always';
  backoff: Backoff;
  resetAfterMs: number;
  maxRestarts: number;
}

export type RestartDecision =
  | { action: 'restart'; delayMs: number; attempt: number; reason: string }
  | { action: 'done'; reason: string }
  | { action: 'fail'; reason: string };

/**
 * Decides what follows an exit nobody asked for.
 * `attempt`: restarts already made in this backoff run. A process that stayed ready for `resetAfterMs` starts a new run.
 */
export function decideRestart(rule: RestartRule, exit: ProcessExit, attempt: number, random: number): RestartDecision {
  const how = describeExit(exit);
  const clean = exit.code === 0;
  if (rule.policy === 'never')
    return clean ? { action: 'done', reason: how } : { action: 'fail', reason: `${how}; restart policy is never` };
  if (rule.policy === 'on-failure' && clean) return { action: 'done', reason: `${how}; restart policy is on-failure` };
  const current = exit.readyForMs >= rule.resetAfterMs ? 0 : attempt;
  if (current >= rule.maxRestarts)
    return {
      action: 'fail',
      reason: `${how}; it was restarted ${current === 1 ? 'once' : `${current} times in a row`}`,
    };
  const delayMs = backoffDelay(rule.backoff, current, random);
  return {
    action: 'restart',
    delayMs,
    attempt: current + 1,
    reason: `${how}; restart ${current + 1} of ${rule.maxRestarts}`,
  };
}

/** `exit status 3`, `killed by SIGKILL`, `ended unseen`. */
export function describeExit(exit: Pick<ProcessExit, 'code' | 'signal'>): string {
  if (exit.signal) return `killed by ${exit.signal}`;
  return exit.code === null ? 'ended unseen' : `exit status ${exit.code}`;
}
