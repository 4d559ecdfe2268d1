import { readFileSync } from 'node:fs';

const LONGEST_COMMAND = 120;

/** The command line of a process of this machine, shortened; empty when it has none (any more) or cannot be seen. */
export function commandOf(pid: number): string {
  const words = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  const command = words || read(`/proc/${pid}/comm`).trim();
  return command.length > LONGEST_COMMAND ? `${command.slice(0, LONGEST_COMMAND - 1)}…` : command;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it may end between two looks
  }
}
