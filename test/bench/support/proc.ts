import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Whether this system has the /proc files that CPU times and memory are read from (Linux). */
export const hasProc = ['smaps_rollup', 'schedstat'].every((file) => existsSync(`/proc/self/${file}`));

/**
 * CPU seconds, user and system, that the threads of a process have used: nanoseconds from the scheduler, since the ticks of
 * /proc/<pid>/stat (10 ms) are too coarse for runs of a second. Threads that have ended are not counted; Node's live on.
 */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // It ended between the two calls.
    }
  }
  return nanoseconds / 1e9;
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
