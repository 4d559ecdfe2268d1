/**
 * Where on every host things lie that have a fixed place outside dynamo's own folders. Plain text, because shell scripts that run there
 * name them too.
 */

/** Folder of the GPU locks, within the first of the parents that there is. */
export const LOCK_FOLDER = 'dynamo';
/** Parents of that folder, unless `DYNAMO_LOCK_DIR` names another: the first that there is. */
export const LOCK_PARENTS = ['/run/lock', '/tmp'] as const;

/** Folder of the sockets whose own path would be too long, once the id of their user follows. */
export const LONG_SOCKETS = '/tmp/dynamo-';
/** A socket there is named by so many hex digits of the sha256 of its own path. */
export const LONG_SOCKET_DIGITS = 24;
