import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { attempt } from '../base/attempt.ts';

/** Where shared memory with a name lies on Linux. */
export const SHARED_MEMORY_DIR = '/dev/shm';

/** A file there. */
export interface SharedFile {
  name: string;
  /** `00:1b 9448`: device and inode as `/proc/PID/maps` writes them. Names are given again, and a semaphore has had two. */
  id: string;
}

const RECORD = 'shared-memory.json';

/**
 * What engines make and remove again unless they are killed: shared memory and semaphores of Python (vLLM's queues between its
 * processes), of NCCL, PyTorch, UCX and Intel's OpenMP. Files of other names are somebody's data, whoever has them open.
 */
const PASSING = /^(psm_|sem\.|nccl-|torch_|ucx_shm_posix_|__KMP_REGISTERED_LIB_)/;

/** Passing files of this user, with the time they were made (milliseconds since 1970). Empty where there is no such folder. */
export function listShared(dir: string = SHARED_MEMORY_DIR): (SharedFile & { madeAtMs: number; bytes: number })[] {
  const own = process.getuid?.();
  return attempt(() => readdirSync(dir), []).flatMap((name) => {
    const stat = PASSING.test(name) ? attempt(() => lstatSync(path.join(dir, name)), undefined) : undefined;
    if (!stat?.isFile() || stat.uid !== own) return [];
    // Sparse files take less than their size.
    return [{ name, id: idOf(stat), madeAtMs: stat.birthtimeMs || stat.ctimeMs, bytes: stat.blocks * 512 }];
  });
}

/** Ids of the files of a folder that `/proc/PID/maps` (proc_pid_maps(5): `address perms offset dev inode path`) shows. Pure. */
export function sharedInMaps(text: string, dir: string = SHARED_MEMORY_DIR): string[] {
  return text.split('\n').flatMap((line) => {
    const at = line.indexOf(` ${dir}/`);
    if (at < 0) return [];
    const [, , , device, inode] = line.slice(0, at).trim().split(/\s+/);
    return device === undefined || inode === undefined ? [] : [`${device} ${inode}`];
  });
}

/** Ids of what a process has mapped or open there. Nothing when it has ended or is not ours to see. */
export function sharedBy(pid: number, dir: string = SHARED_MEMORY_DIR): string[] {
  const maps = attempt(() => readFileSync(`/proc/${pid}/maps`, 'latin1'), '');
  const folder = `/proc/${pid}/fd`;
  const open = attempt(() => readdirSync(folder), []).flatMap((fd) => {
    const file = `${folder}/${fd}`;
    if (!attempt(() => readlinkSync(file), '').startsWith(`${dir}/`)) return [];
    const stat = attempt(() => statSync(file), undefined);
    return stat ? [idOf(stat)] : [];
  });
  return [...sharedInMaps(maps, dir), ...open];
}

/** `dev_t` as Linux packs it into 64 bits, printed as the kernel does. */
export function idOf({ dev, ino }: { dev: number; ino: number }): string {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return `${hex(major)}:${hex(minor)} ${ino}`;
}

const hex = (value: number): string => value.toString(16).padStart(2, '0');

/** Files that a run was seen to make, as its folder remembers them. */
export function readSharedRecord(runDir: string): SharedFile[] {
  const found = attempt(() => readJsonFile(path.join(runDir, RECORD)), undefined);
  return Array.isArray(found) ? (found as SharedFile[]) : [];
}

/** Adds files to what a run's folder remembers. Throws `DISK_FULL`. */
export function rememberShared(runDir: string, files: readonly SharedFile[]): void {
  const all = [...readSharedRecord(runDir), ...files.map(({ name, id }) => ({ name, id }))];
  writeFileAtomic(path.join(runDir, RECORD), JSON.stringify(all));
}

export interface SharedLeftovers {
  removed: string[];
  /** Bytes of memory that came free. */
  bytes: number;
  /** Still used by a process that does not belong to the run. */
  kept: string[];
}

/** Removes what a run that has ended made and left behind, unless any process that can be seen uses it. Never throws. */
export function removeLeftShared(runDir: string, dir: string = SHARED_MEMORY_DIR): SharedLeftovers {
  const made = readSharedRecord(runDir);
  const isMade = (file: SharedFile) => made.some(({ name, id }) => file.name === name && file.id === id);
  const left = made.length === 0 ? [] : listShared(dir).filter(isMade);
  const result: SharedLeftovers = { removed: [], bytes: 0, kept: [] };
  if (left.length > 0) {
    const used = new Set(allPids().flatMap((pid) => sharedBy(pid, dir)));
    for (const file of left) {
      if (used.has(file.id)) {
        result.kept.push(file.name);
        continue;
      }
      attempt(() => rmSync(path.join(dir, file.name)), undefined);
      result.removed.push(file.name);
      result.bytes += file.bytes;
    }
  }
  if (made.length > 0) attempt(() => rmSync(path.join(runDir, RECORD), { force: true }), undefined);
  return result;
}

const allPids = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger);
