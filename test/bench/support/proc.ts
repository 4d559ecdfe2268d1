import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Whether this system has the /proc files that CPU times and memory are read from (Linux). */
export const hasProc = existsSync('/proc/self/smaps_rollup');

let ticks: number | undefined;

/** CPU seconds, user and system, that a process with all its threads has used. */
export function cpuSeconds(pid: number): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  // Fields after the command name, which may hold spaces: state is field 3, utime 14, stime 15 (proc(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}

export interface Memory {
  /** Resident pages, shared ones counted in full, in bytes. */
  rss: number;
  /** Resident pages, shared ones divided among those who share them, in bytes. */
  pss: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { rss: bytes('Rss'), pss: bytes('Pss') };
}
