import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemCode } from '../base/errors.ts';

/** The files people write are small; one beyond this is something else. */
const LARGEST_BYTES = 1024 ** 2;

/** Text of a file in UTF-8 that a person wrote. `fail` makes the error: it cannot be read, or it is no such text. */
export function readText(
  file: string,
  fail: (reason: 'unreadable' | 'no-text', message: string, cause?: unknown) => Error,
): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw fail('unreadable', `cannot read ${file}: ${systemCode(error) ?? 'unknown error'}`, error);
  }
  if (bytes.length > LARGEST_BYTES)
    throw fail('no-text', `${file} has ${bytes.length} bytes; at most ${LARGEST_BYTES} are read`);
  const text = bytes.toString('utf8');
  if (text.includes('\u0000') || text.includes('\ufffd')) throw fail('no-text', `${file} is not a text file in UTF-8`);
  // A byte order mark would shift every column of the first line.
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** A path as shown in messages: relative where that is shorter and stays inside the working folder. */
export function showPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}
