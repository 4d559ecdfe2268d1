// What a machine must have for an engine, looked at before anything is installed or started. Each throws with one line that says
// what is missing.
import { existsSync, statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const GIB = 2 ** 30;
const inGib = (bytes) => `${(bytes / GIB).toFixed(1)} GiB`;

/** Of the machine, or of the control group where that has less. */
export function requireMemory(bytes, { freeBytes = Math.min(os.freemem(), process.availableMemory()) } = {}) {
  if (freeBytes < bytes)
    throw new Error(`${inGib(bytes)} of free memory are needed, there are ${inGib(freeBytes)}: it would be killed`);
}

/** Of the file system that a folder lies in, or is going to. */
export function requireDisk(folder, bytes) {
  let there = path.resolve(folder);
  while (!existsSync(there)) there = path.dirname(there);
  const { bavail, bsize } = statfsSync(there);
  if (bavail * bsize < bytes)
    throw new Error(`${inGib(bytes)} of free disk are needed in ${there}, there are ${inGib(bavail * bsize)}`);
}
