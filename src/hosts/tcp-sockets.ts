import { readFileSync } from 'node:fs';

/** A listening TCP socket as `/proc/net/tcp` shows it. */
export interface ListeningSocket {
  /** As text, `127.0.0.1` or `::1`; a wildcard is `0.0.0.0` or `::`. */
  address: string;
  port: number;
  /** User that opened it. */
  uid: number;
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

/** Reads the kernel's table (proc_pid_net(5)): `sl local_address rem_address st … uid timeout inode`, addresses in hex. */
export function parseSocketTable(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [hex, portHex] = fields[1]?.split(':') ?? [];
    const port = Number.parseInt(portHex ?? '', 16);
    if (fields[3] === LISTEN && fields[9] !== undefined && Number.isInteger(port))
      sockets.push({ address: decodeAddress(hex ?? ''), port, uid: Number(fields[7]), inode: fields[9] });
  }
  return sockets;
}

/**
 * Those that a connection to `host` and `port` may reach: a socket bound to the address itself goes before one of all addresses,
 * and IPv4's wildcard before IPv6's. Several share a port where both asked for SO_REUSEPORT. A host name stands for any address.
 */
export function listenersAt(
  sockets: readonly ListeningSocket[],
  host: string,
  port: number,
): readonly ListeningSocket[] {
  const there = sockets.filter((socket) => socket.port === port);
  const address = plainAddress(host);
  if (address === undefined) return there;
  const choices = address.includes(':') ? [address, '::'] : [address, `::ffff:${address}`, '0.0.0.0', '::'];
  for (const choice of choices) {
    const bound = there.filter((socket) => socket.address === choice);
    if (bound.length > 0) return bound;
  }
  return [];
}

/** Words of 32 bits, each with its lowest byte first: `0100007F` is 127.0.0.1 (the machines dynamo runs on are little-endian). */
function decodeAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => [...Buffer.from(word, 'hex').reverse()]);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return '';
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return `::ffff:${bytes.slice(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at]! << 8) | bytes[2 * at + 1]!).toString(16));
  return canonical(groups.join(':'));
}

/** An IP address as the table above has it, with or without brackets; undefined for a name. */
function plainAddress(host: string): string | undefined {
  const bare = host.replace(/^\[|\]$/g, '');
  if (/^\d+(\.\d+){3}$/.test(bare)) return bare;
  return bare.includes(':') ? canonical(bare.replace(/%.*$/, '')) : undefined;
}

function canonical(address: string): string {
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}
