import { readFileSync, statSync } from 'node:fs';

const LONGEST_COMMAND = 120;

/** The command line of a process of this machine, shortened; empty when it has none (any more) or cannot be seen. */
export function commandOf(pid: number): string {
  const words = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  const command = words || read(`/proc/${pid}/comm`).trim();
  return command.length > LONGEST_COMMAND ? `${command.slice(0, LONGEST_COMMAND - 1)}…` : command;
}

/** The user a process runs as, by name where `/etc/passwd` has one, else by number; undefined when the process is gone. */
export function userOf(pid: number): string | undefined {
  try {
    return userName(statSync(`/proc/${pid}`).uid);
  } catch {
    return undefined;
  }
}

/** Name of a user as the host's own list has it; the number where it has none. */
export function userName(uid: number, passwd: string = read('/etc/passwd')): string {
  const line = passwd.split('\n').find((entry) => entry.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? String(uid);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it may end between two looks
  }
}
