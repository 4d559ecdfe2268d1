import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { LONG_SOCKET_DIGITS, LONG_SOCKETS } from '../hosts/shared-places.ts';

/** `sun_path` holds 108 bytes with its end mark on Linux, 104 elsewhere. */
const LONGEST_PATH = 100;

/**
 * Where the socket `name` of the folder `dir` lives: in it, unless the path is too long for a socket; then in a private folder
 * below the system's temporary one, named by a hash of `dir`, so that everyone who knows `dir` finds it.
 */
export function socketPath(dir: string, name: string): string {
  const uid = process.getuid?.() ?? 0;
  const file = socketPathOf(dir, name, uid);
  if (file !== path.join(dir, `${name}.sock`)) ensureOwnFolder(path.dirname(file), uid);
  return file;
}

/** The same on any host, for the user with that id there. */
export function socketPathOf(dir: string, name: string, uid: number): string {
  const own = path.join(dir, `${name}.sock`);
  if (Buffer.byteLength(own) <= LONGEST_PATH) return own;
  const digest = createHash('sha256').update(own).digest('hex');
  return path.join(`${LONG_SOCKETS}${uid}`, `${digest.slice(0, LONG_SOCKET_DIGITS)}.sock`);
}

/** Folder of the sockets whose own path would be too long. */
export const longSocketFolder = (): string => `${LONG_SOCKETS}${process.getuid?.() ?? 0}`;

/** Others can write to /tmp: the folder must be ours and closed to them. */
function ensureOwnFolder(folder: string, uid: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0) return;
  throw new DynamoError('STATE_UNREADABLE', `${folder} does not belong to ${os.userInfo().username} alone`, {
    hint: 'Remove it, or set DYNAMO_HOME to a shorter path.',
  });
}
