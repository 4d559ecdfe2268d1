import { spawnSync } from 'node:child_process';
import { DynamoError, systemCode } from '../../base/errors.ts';

/** Whoever waits for a host waits for it too; OpenSSH would wait without end. */
const TIMEOUT_MS = 10_000;

/**
 * Runs the command of a `Match exec` by the user's shell, as OpenSSH does, and says whether it ended with 0. Throws `HOST_UNREACHABLE`
 * when it does not end. `place`: `FILE:LINE`.
 */
export function runMatchCommand(
  command: string,
  place: string,
  user: { home: string; env: NodeJS.ProcessEnv },
  timeoutMs = TIMEOUT_MS,
): boolean {
  const { status, error } = spawnSync(user.env['SHELL'] || '/bin/sh', ['-c', command], {
    ...{ stdio: 'ignore', env: user.env, timeout: timeoutMs, killSignal: 'SIGKILL' },
  });
  if (error === undefined) return status === 0;
  const why =
    systemCode(error) === 'ETIMEDOUT' ? `did not end within ${timeoutMs / 1_000} s` : `cannot be run: ${error.message}`;
  throw new DynamoError('HOST_UNREACHABLE', `${place}: the command of \`Match exec\` ${why}: ${command}`, {
    hint: 'Run it by hand, or name the host by its address in the hosts file.',
    cause: error,
  });
}
