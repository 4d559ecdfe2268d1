import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listeningSockets } from './tcp-sockets.ts';

/** A process that listens on a port. */
export interface PortHolder {
  pid: number;
  /** Its command line, shortened. */
  command: string;
}

const LONGEST_COMMAND = 120;

/** Who listens on a TCP port of this machine; `undefined` when nobody does or the holder belongs to another user. */
export function portHolder(port: number): PortHolder | undefined {
  const inodes = new Set(listeningSockets().flatMap((socket) => (socket.port === port ? [socket.inode] : [])));
  if (inodes.size === 0) return undefined;
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    for (const descriptor of list(`/proc/${name}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${name}/fd/${descriptor}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(name), command: commandOf(name) };
    }
  }
  return undefined;
}

function commandOf(pid: string): string {
  const words = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  const command = words || read(`/proc/${pid}/comm`).trim();
  return command.length > LONGEST_COMMAND ? `${command.slice(0, LONGEST_COMMAND - 1)}…` : command;
}

// A process may end between two looks, and others' descriptors are not ours to see: both count as nothing there.
function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}
const list = (folder: string): string[] => attempt(() => readdirSync(folder), []);
const link = (file: string): string => attempt(() => readlinkSync(file), '');
const read = (file: string): string => attempt(() => readFileSync(file, 'utf8'), '');
