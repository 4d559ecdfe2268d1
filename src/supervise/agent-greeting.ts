import { closeSync, writeSync } from 'node:fs';
import type { SerializedError } from '../base/errors.ts';

/** First and only line an agent prints to whoever started it: it listens, or why it does not. */
export type AgentGreeting = { listening: true; pid: number } | { listening: false; error: SerializedError };

/** Descriptor of the greeting: the agent's own output goes into its log. */
const GREETING_FD = 3;

/** Says so once, and lets the starter go. A starter that has left is nobody's fault. */
export function greetStarter(greeting: AgentGreeting): void {
  try {
    writeSync(GREETING_FD, `${JSON.stringify(greeting)}\n`);
    closeSync(GREETING_FD);
  } catch {
    // it was started by hand, or its starter has gone
  }
}

/** Exit status of the shell below: an agent has a socket there, none was started. */
export const AGENT_THERE = 75;

/**
 * argv of a POSIX shell that starts an agent detached: session of its own, no input, output appended to `log`.
 * It ends when the agent has greeted, with the greeting as its output, or with nothing when the agent died before.
 * `unless`: a socket that, where it is there, makes it end with `AGENT_THERE` at once; nobody may listen on it any more.
 */
export function startAgentArgv(log: string, agent: readonly string[], unless = ''): string[] {
  return ['/bin/sh', '-c', START_AGENT, 'start-agent', log, unless, ...agent, '--greet'];
}

const START_AGENT = `umask 077
log=$1 socket=$2
shift 2
[ -z "$socket" ] || [ ! -S "$socket" ] || exit ${AGENT_THERE}
mkdir -p "\${log%/*}" && : >>"$log" || exit 73
cd /
own=setsid
command -v setsid >/dev/null 2>&1 || own=nohup
greeting=$("$own" "$@" 3>&1 </dev/null >>"$log" 2>&1 &)
printf '%s\\n' "$greeting"`;
