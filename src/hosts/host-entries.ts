import { isIPv6 } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { PathIssue } from '../yaml/problem.ts';
import type { HostEntry, SshTarget } from './host-entry.ts';
import type { HostFile, HostsFile } from './hosts-schema.ts';

/** Keys that mean something only where SSH is used. */
const SSH_KEYS = ['port', 'user', 'identityFile', 'identityAgent', 'knownHosts', 'jump'] as const;

/**
 * Entries from what was written, and what is wrong between keys. Pure but for the home folder of this machine, which `~/` in
 * keys and known-hosts files means. `at` is where the list stands in its file.
 */
export function toHostEntries(
  { hosts, defaults = {} }: HostsFile,
  at: readonly (string | number)[] = ['hosts'],
  home: string = os.homedir(),
): { entries: HostEntry[]; issues: PathIssue[] } {
  const issues: PathIssue[] = [];
  const written = hosts.map((host) => (typeof host === 'string' ? { name: host } : host));
  const entries = written.map((host, index) => {
    const here = [...at, index];
    if (host.name === undefined && host.address === undefined)
      issues.push({ path: here, message: 'a host has a `name`, an `address` or both' });
    return toEntry(host, defaults, home, (key, message) => issues.push({ path: [...here, key], message, atKey: true }));
  });
  entries.forEach((entry, index) => {
    const host = written[index]!;
    const jump = host.jump ?? (entry.local ? undefined : defaults.jump);
    if (jump !== undefined) {
      const path = host.jump === undefined ? [...at.slice(0, -1), 'defaults', 'jump'] : [...at, index, 'jump'];
      setJump(entry, jump, entries, home, (message) => issues.push({ path, message }));
    }
  });
  issues.push(...sameNames(entries, written, at), ...circles(entries, at));
  return { entries, issues };
}

function toEntry(
  host: HostFile,
  defaults: NonNullable<HostsFile['defaults']>,
  home: string,
  report: (key: string, message: string) => void,
): HostEntry {
  const name = host.name ?? nameFrom(host.address ?? 'unnamed');
  const address = host.address ?? name;
  const local = address === 'local' || (host.name === 'local' && host.address === undefined);
  if (host.name === 'local' && !local)
    report('address', '`local` is this machine; give a host with an address another name');
  if (local)
    for (const key of SSH_KEYS)
      if (host[key] !== undefined) report(key, `this machine is reached without SSH; \`${key}\` has no meaning here`);
  const merged = { ...defaults, ...defined(host) };
  const entry: HostEntry = {
    name,
    address,
    local,
    labels: { ...defaults.labels, ...host.labels },
    env: { ...defaults.env, ...host.env },
    ...defined({
      nics: merged.nics,
      dataAddress: host.dataAddress,
      stateDir: merged.stateDir,
      kitDir: merged.kitDir,
      nodePath: merged.nodePath,
    }),
  };
  if (merged.gpus !== undefined)
    entry.gpus =
      typeof merged.gpus === 'number' ? Array.from({ length: merged.gpus }, (_, index) => index) : merged.gpus;
  return local ? entry : Object.assign(entry, sshKeys(merged, home));
}

function sshKeys(from: Pick<HostFile, (typeof SSH_KEYS)[number]>, home: string): Partial<SshTarget> {
  const own = (file: string | undefined) => (file === undefined ? undefined : expandHome(file, home));
  return defined({
    port: from.port,
    user: from.user,
    identityFile: own(from.identityFile),
    identityAgent: own(from.identityAgent),
    knownHosts: own(from.knownHosts),
  });
}

/** `bastion` (a host of the file first), `ada@bastion:2222`, `[fd00::1]:22`, or a map. */
function setJump(
  entry: HostEntry,
  jump: NonNullable<HostFile['jump']>,
  entries: readonly HostEntry[],
  home: string,
  report: (message: string) => void,
): void {
  if (jump === 'none') return;
  if (typeof jump !== 'string') entry.jump = { name: jump.address, address: jump.address, ...sshKeys(jump, home) };
  else {
    const listed = entries.find((other) => other.name === jump);
    if (listed === entry) return; // a default that names this very host: it is reached straight
    if (listed?.local) report(`\`${jump}\` is this machine; nothing needs to go through it`);
    const target = listed ?? parseTarget(jump);
    if (!target) report('expected a host of this file, user@address:port, or a map with address, user, …');
    else entry.jump = target;
  }
}

function parseTarget(text: string): SshTarget | undefined {
  if (isIPv6(text)) return { name: text, address: text };
  const match = /^(?:([^\s@:/]+)@)?(?:\[([^\]\s]+)\]|([^\s@:/[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[2] ?? match?.[3];
  if (!match || address === undefined) return undefined;
  const [, user, , , port] = match;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined;
  return { name: address, address, ...defined({ user, port: port === undefined ? undefined : Number(port) }) };
}

function sameNames(entries: readonly HostEntry[], written: readonly HostFile[], at: PathIssue['path']): PathIssue[] {
  const seen = new Map<string, number>();
  return entries.flatMap((entry, index) => {
    const first = seen.get(entry.name) ?? (entry.local ? entries.findIndex((other) => other.local) : undefined);
    if (first === undefined || first === index) {
      seen.set(entry.name, index);
      return [];
    }
    const key = written[index]?.name === undefined ? 'address' : 'name';
    const message =
      entries[first]?.name === entry.name
        ? `\`${entry.name}\` is already the name of host ${first + 1} of the list`
        : `this machine is already in the list, as \`${entries[first]?.name}\``;
    return [{ path: [...at, index, key], message }];
  });
}

function circles(entries: readonly HostEntry[], at: PathIssue['path']): PathIssue[] {
  return entries.flatMap((entry, index) => {
    const trail: SshTarget[] = [entry];
    for (let next = entry.jump; next !== undefined; next = next.jump) {
      if (trail.includes(next)) {
        const names = [...trail, next].map((step) => step.name).join(' → ');
        for (const step of trail) delete step.jump;
        return [{ path: [...at, index, 'jump'], message: `\`jump\` goes in a circle: ${names}` }];
      }
      trail.push(next);
    }
    return [];
  });
}

/** A name that can be a folder, from an address: `fd00::1` → `fd00--1`. */
function nameFrom(address: string): string {
  const plain = address.replace(/[^a-zA-Z0-9._-]/g, '-').replace(/^[^a-zA-Z0-9]+/, '');
  return plain.slice(0, 63) || 'host';
}

/** A path of this machine, `~/` being `home`. */
export function expandHome(file: string, home: string): string {
  return file === '~' || file.startsWith('~/') ? path.join(home, file.slice(1)) : file;
}

/** Without keys that are undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as never;
}
