import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, existsSync, openSync } from 'node:fs';
import { pause } from '../../base/abort.ts';
import { formatDuration } from '../../base/duration.ts';
import { systemCode } from '../../base/errors.ts';
import type { HookSpec } from '../../plan/launch-plan.ts';
import { describeCommand } from '../../plan/plan-hooks.ts';
import { ownWorld, readStat } from '../../supervise/identity.ts';
import { describeExit } from '../../supervise/restart-policy.ts';
import { killRun } from '../../supervise/shim-process.ts';

/** Longest wait for what a hook has started to be gone. */
const SWEEP_MS = 2_000;

export interface HookRun {
  hook: HookSpec;
  /** Heads its output in the log. */
  title: string;
  runId: string;
  /** Whole environment, without the run id. */
  env: NodeJS.ProcessEnv;
  cwd: string;
  logFile: string;
}

/**
 * Runs one hook in a session of its own. When it ends, or is killed at its deadline, everything it started is ended too.
 * Resolves with how it ended, for people; never rejects.
 */
export async function runHook(run: HookRun): Promise<string> {
  const began = performance.now();
  const deadline = new AbortController();
  try {
    const child = spawnHook(run);
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    exited.catch(() => {}); // `spawn` failed: told below
    const { pid } = child;
    const startTime = pid === undefined ? undefined : readStat(pid)?.startTime;
    const leader = pid === undefined || startTime === undefined ? {} : { ...ownWorld(), pid, startTime };
    const over = pause(run.hook.timeoutMs, deadline.signal).then(() => undefined);
    const exit = await Promise.race([exited, over]);
    await killRun({ ...leader, runId: run.runId }, SWEEP_MS);
    const took = formatDuration(Math.round(performance.now() - began));
    if (exit) return `${describeExit({ code: exit[0], signal: exit[1] })} after ${took}`;
    return `killed after ${took}: its timeout is ${formatDuration(run.hook.timeoutMs)}`;
  } catch (error) {
    return `could not be started: ${systemCode(error) ?? String(error)}`;
  } finally {
    deadline.abort();
  }
}

function spawnHook({ hook, title, runId, env, cwd, logFile }: HookRun) {
  const log = openLog(logFile, title, hook);
  try {
    const [program, ...words] = hook.argv;
    return spawn(program!, words, {
      detached: true, // setsid: a group of its own
      stdio: ['ignore', log, log],
      env: { ...env, DYNAMO_RUN_ID: runId },
      // The folder of a recipe may have gone since.
      cwd: existsSync(cwd) ? cwd : '/',
    });
  } finally {
    if (typeof log === 'number') closeSync(log);
  }
}

/** Its output is lost where it cannot be written: a full disk is no reason not to tell anybody. */
function openLog(file: string, title: string, hook: HookSpec): number | 'ignore' {
  try {
    const log = openSync(file, 'a', 0o600);
    appendFileSync(log, `--- ${new Date().toISOString()} ${title}: ${describeCommand(hook.argv)}\n`);
    return log;
  } catch {
    return 'ignore';
  }
}
