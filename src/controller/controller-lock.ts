import { DynamoError } from '../base/errors.ts';
import { connectSocket } from '../base/unix-socket.ts';
import { until } from '../base/until.ts';
import { type FileLock, lockHolder, tryLock } from '../supervise/locks.ts';
import { socketPath } from '../supervise/socket-path.ts';

/** One that has the lock and does not listen is about to, or about to end: its clients were told before it let go. */
const PATIENCE_MS = 30_000;

/** Takes the lock of a deployment's controller. Throws `DEPLOYMENT_BUSY` when another one has it and can be asked, or keeps it. */
export async function takeControllerLock(deployment: string, dir: string, file: string): Promise<FileLock> {
  const lock = await until(
    async () => tryLock(file, { holder: `controller pid ${process.pid}` }) ?? ((await listens(dir)) ? null : undefined),
    { deadlineMs: PATIENCE_MS, intervalMs: 20 },
  );
  if (lock) return lock;
  throw new DynamoError('DEPLOYMENT_BUSY', `${deployment} has a controller already (${lockHolder(file) ?? 'unknown'})`);
}

async function listens(dir: string): Promise<boolean> {
  const socket = await connectSocket(socketPath(dir, 'controller')).catch(() => undefined);
  socket?.destroy();
  return socket !== undefined;
}
