import { DynamoError } from '../../base/errors.ts';

/** Whoever waits for a host waits for it too; OpenSSH would wait without end. */
const TIMEOUT_MS = 10_000;

/** Who has such a command run, and for how long. */
export interface MatchCommandOptions {
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
}

/**
 * Runs the command of a `Match exec` by the user's shell, as OpenSSH does, and says whether it ended with 0. Throws `HOST_UNREACHABLE`
 * when it does not end, the signal's reason when that comes first. `place`: `FILE:LINE`.
 */
export async function runMatchCommand(command: string, place: string, options: MatchCommandOptions): Promise<boolean> {
  const { env, signal, timeoutMs = TIMEOUT_MS } = options;
  signal?.throwIfAborted();
  const { execa } = await import('execa');
  const result = await execa(env['SHELL'] || '/bin/sh', ['-c', command], {
    ...{ reject: false, stdio: 'ignore', env, extendEnv: false, timeout: timeoutMs, killSignal: 'SIGKILL' },
    ...(signal && { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (!result.timedOut && result.cause === undefined) return result.exitCode === 0;
  const why = result.timedOut
    ? `did not end within ${timeoutMs / 1_000} s`
    : `cannot be run: ${result.originalMessage}`;
  throw new DynamoError('HOST_UNREACHABLE', `${place}: the command of \`Match exec\` ${why}: ${command}`, {
    hint: 'Run it by hand, or name the host by its address in the hosts file.',
    cause: result.cause,
  });
}
