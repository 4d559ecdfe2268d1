import { readdirSync, readlinkSync } from 'node:fs';
import { attempt } from '../base/attempt.ts';
import { commandOf } from './process-facts.ts';
import { type ListeningSocket, listeningSockets } from './tcp-sockets.ts';

/** A process that listens on a port. */
export interface PortHolder {
  pid: number;
  /** Its command line, shortened. */
  command: string;
}

/** Who listens on a TCP port of this machine; `undefined` when nobody does or the holder belongs to another user. */
export function portHolder(port: number): PortHolder | undefined {
  return holderOf(listeningSockets().filter((socket) => socket.port === port));
}

/** The process that has one of the sockets open; `undefined` when it cannot be seen from here. */
export function holderOf(sockets: readonly ListeningSocket[]): PortHolder | undefined {
  if (sockets.length === 0) return undefined;
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const open = socketsOf(pid);
    if (open && sockets.some(({ inode }) => open.has(inode))) return { pid, command: commandOf(pid) };
  }
  return undefined;
}

/** Inodes of the sockets a process has open; `undefined` when they cannot be read: it has ended, or is not ours to see. */
export function socketsOf(pid: number): Set<string> | undefined {
  const folder = `/proc/${pid}/fd`;
  const names = attempt<string[] | undefined>(() => readdirSync(folder), undefined);
  if (names === undefined) return undefined;
  const inodes = names.map((name) => /^socket:\[(\d+)\]$/.exec(link(`${folder}/${name}`))?.[1]);
  return new Set(inodes.filter((inode) => inode !== undefined));
}

// A process may end between two looks, and others' descriptors are not ours to see: both count as nothing there.
const list = (folder: string): string[] => attempt(() => readdirSync(folder), []);
const link = (file: string): string => attempt(() => readlinkSync(file), '');
