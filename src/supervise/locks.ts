import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { explainWriteError } from '../base/atomic-file.ts';
import { DynamoError, messageOf, systemCode } from '../base/errors.ts';
import { isAlive, ownIdentity, parseIdentity } from './identity.ts';

/**
 * An exclusive lock on a file. With the kernel's `flock` it belongs to the open descriptor: whoever inherits `fd` holds it too,
 * and it is free exactly when the last holder is gone. Where the tool is missing, a file with the owner's identity serves;
 * that one cannot be inherited (`fd` is null) and a dead owner's is taken over.
 */
export interface FileLock {
  readonly fd: number | null;
  readonly file: string;
  /** Lets go in this process; inheritors keep it. Idempotent. */
  release(): void;
}

export interface LockOptions {
  /** Written into the file for whoever finds it held. */
  holder: string;
  /** The lock is shared by all users of the host: opened without following links, readable by everyone. */
  hostWide?: boolean;
}

/** Exit status of `flock --nonblock` when somebody else holds the lock; anything else means that it could not tell. */
const HELD = 1;

let flockTool: boolean | undefined;

/** Takes the lock, or returns `undefined` when somebody else holds it. Throws when the file cannot be opened. */
export function tryLock(file: string, options: LockOptions): FileLock | undefined {
  flockTool ??= spawnSync('flock', ['--version'], { stdio: 'ignore' }).status === 0;
  return flockTool ? tryKernelLock(file, options) : tryIdentityLock(file, options);
}

/** What the holder wrote, for messages. */
export function lockHolder(file: string): string | undefined {
  const identity = readHolder(file);
  if (identity) return `${identity.runId} (pid ${identity.pid})`;
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function tryKernelLock(file: string, options: LockOptions): FileLock | undefined {
  const fd = openLockFile(file, options.hostWide ?? false);
  // The lock is taken on the shared open file description, so it stays when the tool has gone.
  const { status, error, stderr } = spawnSync('flock', ['--nonblock', '--exclusive', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
  });
  if (status !== 0) closeSync(fd);
  if (status === HELD) return undefined;
  if (status !== 0) {
    const reason = error ? messageOf(error) : stderr.toString().trim() || `flock ended with ${status}`;
    throw new DynamoError('STATE_UNREADABLE', `cannot lock ${file}: ${reason}`, { cause: error });
  }
  describeHolder(fd, options.holder);
  let open = true;
  return {
    fd,
    file,
    release() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function openLockFile(file: string, hostWide: boolean): number {
  const mode = hostWide ? 0o666 : 0o600;
  try {
    return openExisting(file);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw explainOpenError(error, file);
  }
  try {
    const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
    if (hostWide) fchmodSync(fd, mode); // the umask would keep other users out
    return fd;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw explainOpenError(error, file);
  }
  try {
    return openExisting(file); // somebody made it a moment ago
  } catch (error) {
    throw explainOpenError(error, file);
  }
}

function explainOpenError(error: unknown, file: string): unknown {
  if (systemCode(error) !== 'ELOOP') return explainWriteError(error, file);
  return new DynamoError('STATE_UNREADABLE', `${file} is a symbolic link: not followed`, { cause: error });
}

/** Never creates: opening another user's file with O_CREAT in a sticky folder is refused by the kernel. */
function openExisting(file: string): number {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
    // Not blocking: a pipe of that name would wait for a writer.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new DynamoError('STATE_UNREADABLE', `${file} is not a plain file`);
}

/** For people only: a full disk or another user's file must not fail the lock. */
function describeHolder(fd: number, holder: string): void {
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${holder}\n`, 0);
  } catch {
    // the lock holds all the same
  }
}

function tryIdentityLock(file: string, options: LockOptions): FileLock | undefined {
  const own = ownIdentity(options.holder);
  const mine = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(mine, JSON.stringify(own), { mode: options.hostWide ? 0o644 : 0o600, flag: 'wx' });
    if (linkUnlessThere(mine, file)) return identityLock(file, own.startTime);
    if (isHeld(file)) return undefined;
    return takeOver(mine, file) ? identityLock(file, own.startTime) : undefined;
  } catch (error) {
    throw explainWriteError(error, file);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** A dead owner's file is removed by one process at a time: two that found it dead must not remove each other's. */
function takeOver(mine: string, file: string): boolean {
  const guard = `${file}.takeover`;
  if (!linkUnlessThere(mine, guard)) {
    if (isHeld(guard)) return false;
    rmSync(guard, { force: true });
    if (!linkUnlessThere(mine, guard)) return false;
  }
  try {
    if (!isHeld(file)) rmSync(file, { force: true });
    return linkUnlessThere(mine, file);
  } finally {
    rmSync(guard, { force: true });
  }
}

function linkUnlessThere(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function isHeld(file: string): boolean {
  const holder = readHolder(file);
  return holder !== undefined && isAlive(holder);
}

function identityLock(file: string, startTime: string): FileLock {
  return {
    fd: null,
    file,
    release() {
      if (readHolder(file)?.startTime === startTime && readHolder(file)?.pid === process.pid)
        rmSync(file, { force: true });
    },
  };
}

function readHolder(file: string) {
  try {
    return parseIdentity(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** For tests of the fallback: pretend the tool is (not) there; `undefined` looks again. */
export function setFlockTool(present: boolean | undefined): void {
  flockTool = present;
}
