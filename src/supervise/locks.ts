import { spawnSync } from 'node:child_process';
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
import { DynamoError, systemCode } from '../base/errors.ts';
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

let flockTool: boolean | undefined;

/** Takes the lock, or returns `undefined` when somebody else holds it. Throws when the file cannot be opened. */
export function tryLock(file: string, options: LockOptions): FileLock | undefined {
  flockTool ??= spawnSync('flock', ['--version'], { stdio: 'ignore' }).status === 0;
  return flockTool ? tryKernelLock(file, options) : tryIdentityLock(file, options);
}

/** What the holder wrote, for messages. */
export function lockHolder(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function tryKernelLock(file: string, options: LockOptions): FileLock | undefined {
  const fd = openLockFile(file, options.hostWide ?? false);
  // The lock is taken on the shared open file description, so it stays when the tool has gone.
  const { status } = spawnSync('flock', ['--nonblock', '--exclusive', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  if (status !== 0) {
    closeSync(fd);
    return undefined;
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
    if (systemCode(error) !== 'ENOENT') throw explainWriteError(error, file);
  }
  try {
    const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
    if (hostWide) fchmodSync(fd, mode); // the umask would keep other users out
    return fd;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return openExisting(file);
    throw explainWriteError(error, file);
  }
}

/** Never creates: opening another user's file with O_CREAT in a sticky folder is refused by the kernel. */
function openExisting(file: string): number {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
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
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(own), { mode: options.hostWide ? 0o644 : 0o600 });
  try {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        linkSync(mine, file);
        return identityLock(file, own.startTime);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw explainWriteError(error, file);
      }
      const holder = readHolder(file);
      if (holder && isAlive(holder)) return undefined;
      rmSync(file, { force: true });
    }
    return undefined;
  } finally {
    rmSync(mine, { force: true });
  }
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
