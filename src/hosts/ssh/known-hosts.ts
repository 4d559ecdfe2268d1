import { createHash, createHmac } from 'node:crypto';

/** One line of a known-hosts file: whom it names, and a key that they have, or must not have. */
export interface KnownKey {
  file: string;
  line: number;
  marker: 'revoked' | 'cert-authority' | null;
  /** Comma-separated patterns, or one hashed name. */
  hosts: string;
  type: string;
  /** base64 of the key blob. */
  key: string;
}

export type KeyVerdict =
  | { kind: 'known' }
  | { kind: 'unknown' }
  /** It has another key than the one that `at` says. */
  | { kind: 'changed'; at: KnownKey }
  | { kind: 'revoked'; at: KnownKey };

/** Lines of a file in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Lines that are none are skipped, as OpenSSH does. */
export function parseKnownHosts(text: string, file: string): KnownKey[] {
  return text.split('\n').flatMap((raw, index) => {
    const words = raw.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) return [];
    const marker = words[0]?.startsWith('@') ? words.shift()!.slice(1) : null;
    const [hosts, type, key] = words;
    if (!hosts || !type || !key || (marker !== null && marker !== 'revoked' && marker !== 'cert-authority')) return [];
    return [{ file, line: index + 1, marker, hosts, type, key }];
  });
}

/** Whether a host with this name and port may have this key. Anything but `known` must be refused. */
export function judgeHostKey(known: readonly KnownKey[], name: string, port: number, key: Buffer): KeyVerdict {
  const mine = keysOf(known, name, port);
  const text = key.toString('base64');
  const type = keyType(key);
  const revoked = known.find((entry) => entry.marker === 'revoked' && entry.key === text && names(entry, name, port));
  if (revoked) return { kind: 'revoked', at: revoked };
  if (mine.some((entry) => entry.key === text)) return { kind: 'known' };
  // As OpenSSH does: a line without port vouches for the key on any port, but never against one.
  if (port !== 22 && keysOf(known, name, 22).some((entry) => entry.key === text)) return { kind: 'known' };
  const other = mine.find((entry) => entry.type === type) ?? mine[0];
  return other ? { kind: 'changed', at: other } : { kind: 'unknown' };
}

/** Key types that are known of a host: it shall be asked for these first. */
export function knownTypes(known: readonly KnownKey[], name: string, port: number): string[] {
  return [...new Set(keysOf(known, name, port).map((entry) => entry.type))];
}

/** `[host]:port`, or the bare name where the port is SSH's own: how known-hosts files write it. */
export function hostWithPort(name: string, port: number): string {
  return port === 22 ? name : `[${name}]:${port}`;
}

/** `SHA256:…` as ssh-keygen prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** First string of a key blob: `ssh-ed25519`. */
export function keyType(key: Buffer): string {
  if (key.length < 4) return '';
  return key.toString('latin1', 4, 4 + key.readUInt32BE(0));
}

function keysOf(known: readonly KnownKey[], name: string, port: number): KnownKey[] {
  return known.filter((entry) => entry.marker === null && names(entry, name, port));
}

function names(entry: KnownKey, name: string, port: number): boolean {
  const wanted = hostWithPort(name.toLowerCase(), port);
  if (entry.hosts.startsWith('|1|')) {
    const [, , salt = '', hash = ''] = entry.hosts.split('|');
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(wanted).digest('base64') === hash;
  }
  let matches = false;
  for (const pattern of entry.hosts.toLowerCase().split(',')) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(wanted, pattern.slice(1))) return false;
    } else matches ||= matchesPattern(wanted, pattern);
  }
  return matches;
}

/** `*` stands for any characters, `?` for one (ssh_config(5), PATTERNS). */
export function matchesPattern(text: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
