import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * Folder of the host-wide GPU locks, shared by all users of the machine: `DYNAMO_LOCK_DIR/dynamo`, else `/run/lock/dynamo`, else
 * `/tmp/dynamo`.
 */
export function gpuLockFolder(env: NodeJS.ProcessEnv): string {
  return path.join(env['DYNAMO_LOCK_DIR'] ?? (existsSync('/run/lock') ? '/run/lock' : '/tmp'), 'dynamo');
}
