import { randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';

/**
 * Who a deployment belongs to: the state folder it was started from, as `USER@MACHINE ID`. Epochs of two launchers cannot be
 * compared, so an agent goes by this first. Made once; a folder that cannot be written gives one that holds for this process.
 */
export function ownerOf(dir: string): string {
  const file = ownerFile(dir);
  const known = readJsonFile(file);
  if (typeof known === 'string' && known !== '') return known;
  const owner = `${os.userInfo().username}@${os.hostname()} ${randomBytes(6).toString('hex')}`;
  try {
    writeFileAtomic(file, JSON.stringify(owner));
  } catch {
    // a full disk is told where it matters
  }
  return owner;
}

export const ownerFile = (dir: string): string => path.join(dir, 'owner');

/** Without its number, for people. */
export function ownerName(owner: string): string {
  return owner.split(' ')[0] ?? owner;
}
