import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { DynamoError, systemCode } from './errors.ts';

/**
 * Replaces `file` in one step: a reader sees the old text or the new one, and after a power cut one of the two is there.
 * Throws `DISK_FULL` when there is no room; the old file then stands.
 */
export function writeFileAtomic(file: string, text: string, options: { mode?: number; durable?: boolean } = {}): void {
  const temporary = `${file}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(temporary, 'wx', options.mode ?? 0o600);
    writeAll(descriptor, Buffer.from(text));
    if (options.durable ?? true) fsyncSync(descriptor);
    closeSync(descriptor);
    descriptor = undefined;
    renameSync(temporary, file);
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    rmSync(temporary, { force: true });
    throw explainWriteError(error, file);
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

/** Reads a JSON file; `undefined` when there is none. A file that is not JSON throws with its name. */
export function readJsonFile(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw new DynamoError('STATE_UNREADABLE', `cannot read ${file}: ${systemCode(error)}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DynamoError('STATE_UNREADABLE', `${file} is not valid JSON`, { cause: error });
  }
}

/** Gives a full disk and a forbidden folder their own error codes; everything else passes through. */
export function explainWriteError(error: unknown, file: string): unknown {
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new DynamoError('DISK_FULL', `no space left to write ${file}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
    return new DynamoError('STATE_UNREADABLE', `cannot write ${file}: ${code}`, { cause: error });
  }
  return error;
}
