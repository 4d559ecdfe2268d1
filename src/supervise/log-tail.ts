import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { systemCode } from '../base/errors.ts';

const TAIL_BYTES = 32 * 1024;

/** Last `count` lines of a file, from byte `from` on and at most of its last `maxBytes`. Empty when there is no such file. */
export function lastLines(file: string, count: number, from = 0, maxBytes = TAIL_BYTES): string[] {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(from <= size ? from : 0, size - maxBytes);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const read = readSync(fd, buffer, 0, buffer.length, start);
    const lines = buffer.toString('utf8', 0, read).split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-count);
  } finally {
    closeSync(fd);
  }
}

/** Size of a file in bytes; 0 when there is none. */
export function fileSize(file: string): number {
  try {
    const fd = openSync(file, 'r');
    try {
      return fstatSync(fd).size;
    } finally {
      closeSync(fd);
    }
  } catch {
    return 0;
  }
}
