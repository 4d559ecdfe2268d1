import { existsSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DynamoError, systemCode } from '../../base/errors.ts';
import { matchesPattern } from './known-hosts.ts';
import { runMatchCommand } from './match-command.ts';
import { readSshConfig, type SshConfig } from './ssh-config.ts';
import type { SshHop, SshTarget } from './ssh-target.ts';
import { expandTokens, isSafeInShell } from './ssh-tokens.ts';

/** What this user's SSH settings are read from; tests have their own. */
export interface SshUser {
  home: string;
  name: string;
  env: NodeJS.ProcessEnv;
  /** System-wide configuration, after the user's. */
  systemConfig: string;
  systemKnownHosts: string[];
}

export function thisUser(env: NodeJS.ProcessEnv = process.env): SshUser {
  const { username, homedir } = os.userInfo();
  return {
    home: env['HOME'] || homedir,
    name: username,
    env,
    systemConfig: '/etc/ssh/ssh_config',
    systemKnownHosts: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
  };
}

const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
const MOST_JUMPS = 8;

/**
 * The connections that lead to a host, the host itself last. What the target says counts; what it leaves out comes from
 * `~/.ssh/config`, then from defaults. The signal ends commands that the configuration has run. Throws `HOST_UNREACHABLE` for settings
 * that cannot work.
 */
export async function resolveTarget(
  target: SshTarget,
  user: SshUser = thisUser(),
  signal?: AbortSignal,
): Promise<SshHop[]> {
  return hops(target, { user, signal }, target.name, 0);
}

/** Who asks, and until when. */
interface Asker {
  user: SshUser;
  signal: AbortSignal | undefined;
}

async function hops(target: SshTarget, asker: Asker, name: string, depth: number): Promise<SshHop[]> {
  const { user } = asker;
  if (depth > MOST_JUMPS)
    throw new DynamoError('HOST_UNREACHABLE', `${name}: its jump hosts go round in a circle`, {
      hint: 'Look at `jump` in the hosts file and ProxyJump in ~/.ssh/config.',
    });
  const config = await configOf(target, asker);
  const address = expandTokens(config.hostName ?? target.address, { h: target.address }, `${name}: HostName`);
  const hop: SshHop = {
    name,
    address: address.replace(/^\[(.*)\]$/, '$1'),
    port: target.port ?? config.port ?? 22,
    user: target.user ?? config.user ?? user.name,
    keyFiles: [],
    agent: agentSocket(target, config, user),
    knownHostsFiles: knownHostsFiles(target, config, user),
    proxyCommand: null,
    keyName: config.hostKeyAlias ?? address.replace(/^\[(.*)\]$/, '$1'),
  };
  hop.keyFiles = keyFiles(target, config, user, hop);
  const jumps = await jumpsTo(target, config, asker, depth);
  if (jumps.length === 0) hop.proxyCommand = proxyCommand(target, config, hop);
  return [...jumps, hop];
}

async function jumpsTo(target: SshTarget, config: SshConfig, asker: Asker, depth: number): Promise<SshHop[]> {
  if (target.jump) return hops(target.jump, asker, `jump host ${target.jump.name}`, depth + 1);
  if (config.proxyJump === undefined || config.proxyJump === 'none') return [];
  // `a,b` means through a, then b. Only the first of the list may bring jumps of its own.
  const all: SshHop[] = [];
  for (const [index, word] of config.proxyJump.split(',').entries()) {
    const jump = parseJump(word.trim());
    const way = await hops(jump, asker, `jump host ${jump.name}`, depth + 1);
    all.push(...(index === 0 ? way : way.slice(-1).map((hop) => ({ ...hop, proxyCommand: null }))));
  }
  return all;
}

/** The command of a host that is reached through one, its tokens filled in. */
function proxyCommand(target: SshTarget, config: SshConfig, hop: SshHop): string | null {
  if (config.proxyCommand === undefined || config.proxyCommand.command === 'none') return null;
  const { command, place } = config.proxyCommand;
  const refuse = (what: string, hint: string) =>
    new DynamoError('HOST_UNREACHABLE', `${hop.name}: ${what} (${place})`, { hint });
  if (config.proxyUseFdpass)
    throw refuse(
      'dynamo does not take connections from a ProxyCommand (ProxyUseFdpass)',
      'Use a command that connects its standard input and output, such as `nc %h %p`, or `jump` in the hosts file.',
    );
  const tokens = { h: hop.address, n: target.address, p: String(hop.port), r: hop.user };
  const unsafe = Object.values(tokens).find((value) => !isSafeInShell(value));
  if (unsafe !== undefined)
    throw refuse(
      `${JSON.stringify(unsafe)} cannot stand in a ProxyCommand: a shell reads it`,
      'Correct HostName, User or the address in the hosts file.',
    );
  return expandTokens(command, tokens, place);
}

/** `[user@]host[:port]` or `ssh://…`; an IPv6 address stands in brackets. */
function parseJump(word: string): SshTarget {
  const found = /^(?:ssh:\/\/)?(?:(?<user>[^@]+)@)?(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+))(?::(?<port>\d+))?\/?$/.exec(
    word,
  );
  const { user, six, host, port } = found?.groups ?? {};
  const address = six ?? host ?? word;
  return { name: address, address, user, port: port === undefined ? undefined : Number(port) };
}

function configOf(target: SshTarget, { user, signal }: Asker): Promise<SshConfig> {
  const own = path.join(user.home, '.ssh', 'config');
  const texts = [own, user.systemConfig].map((file) => ({ file, text: readText(file), folder: path.dirname(file) }));
  const machine = os.hostname();
  return readSshConfig(texts, target.address, {
    localUser: user.name,
    user: target.user,
    include: (pattern, folder) =>
      glob(path.resolve(folder, expandHome(pattern, user))).map((file) => ({ file, text: readText(file) })),
    exec: (command, place) => runMatchCommand(command, place, { env: user.env, signal }),
    addresses: () =>
      Object.values(os.networkInterfaces()).flatMap((all) =>
        (all ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
      ),
    tokens: { d: user.home, i: String(os.userInfo().uid), l: machine, L: machine.split('.')[0]! },
  });
}

function keyFiles(target: SshTarget, config: SshConfig, user: SshUser, hop: SshHop): string[] {
  const expand = (file: string) =>
    path.resolve(
      user.home,
      expandHome(file, user).replace(
        /%([%dhnpru])/g,
        (_, token: string) =>
          ({ d: user.home, h: hop.address, n: target.address, p: String(hop.port), r: hop.user, u: user.name })[
            token
          ] ?? '%',
      ),
    );
  // One that is named must be there; the rest are guesses.
  if (target.identityFile !== undefined) return [expand(target.identityFile)];
  const named = config.identityFiles.map(expand).filter((file) => existsSync(file));
  if (config.identityFiles.length > 0) return named;
  return DEFAULT_KEYS.map((name) => path.join(user.home, '.ssh', name)).filter((file) => existsSync(file));
}

function agentSocket(target: SshTarget, config: SshConfig, user: SshUser): string | null {
  const named = target.identityAgent ?? (config.identitiesOnly ? 'none' : (config.identityAgent ?? 'SSH_AUTH_SOCK'));
  if (named === 'none') return null;
  if (named === 'SSH_AUTH_SOCK') return user.env['SSH_AUTH_SOCK'] || null;
  if (named.startsWith('$')) return user.env[named.replace(/^\$\{?|\}$/g, '')] || null;
  return expandHome(named, user);
}

function knownHostsFiles(target: SshTarget, config: SshConfig, user: SshUser): string[] {
  if (target.knownHosts !== undefined) return [path.resolve(expandHome(target.knownHosts, user))];
  const own = config.userKnownHostsFiles ?? ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'];
  const all = [...own, ...(config.globalKnownHostsFiles ?? user.systemKnownHosts)];
  return all.filter((file) => file !== 'none').map((file) => path.resolve(user.home, expandHome(file, user)));
}

function expandHome(file: string, user: SshUser): string {
  return file === '~' || file.startsWith('~/') ? path.join(user.home, file.slice(1)) : file;
}

/** Text of a file; empty when there is none or it may not be read, as OpenSSH treats its configuration files. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '')) return '';
    throw error;
  }
}

/** Files that a pattern names; wildcards may stand in its last part, as in `config.d/*`. */
function glob(pattern: string): string[] {
  const folder = path.dirname(pattern);
  if (!/[*?]/.test(path.basename(pattern))) return [pattern];
  try {
    return readdirSync(folder)
      .filter((name) => matchesPattern(name, path.basename(pattern)) && !name.startsWith('.'))
      .sort()
      .map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}
