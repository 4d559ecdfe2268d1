import { existsSync } from 'node:fs';
import path from 'node:path';
import { LOCK_FOLDER, LOCK_PARENTS } from '../hosts/shared-places.ts';

/**
 * Folder of the host-wide GPU locks, shared by all users of the machine: `DYNAMO_LOCK_DIR/dynamo`, else `/run/lock/dynamo`, else
 * `/tmp/dynamo`.
 */
export function gpuLockFolder(env: NodeJS.ProcessEnv): string {
  const [first, otherwise] = LOCK_PARENTS;
  return path.join(env['DYNAMO_LOCK_DIR'] ?? (existsSync(first) ? first : otherwise), LOCK_FOLDER);
}
