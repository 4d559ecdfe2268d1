import { readFileSync } from 'node:fs';

/** A listening TCP socket as `/proc/net/tcp` shows it. */
export interface ListeningSocket {
  port: number;
  inode: string;
}

const LISTEN = '0A';

/** Listening sockets of this network namespace, IPv4 and IPv6. Empty where the system has no `/proc/net/tcp`. */
export function listeningSockets(): ListeningSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => {
    try {
      return parseSocketTable(readFileSync(file, 'latin1'));
    } catch {
      return [];
    }
  });
}

/** Reads the kernel's table (proc_pid_net(5)): `sl local_address rem_address st … inode`, addresses in hex. */
export function parseSocketTable(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const port = Number.parseInt(fields[1]?.split(':').at(-1) ?? '', 16);
    if (fields[3] === LISTEN && fields[9] !== undefined && Number.isInteger(port))
      sockets.push({ port, inode: fields[9] });
  }
  return sockets;
}
