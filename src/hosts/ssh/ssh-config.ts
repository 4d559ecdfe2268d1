import { matchesPattern } from './known-hosts.ts';

/**
 * What `~/.ssh/config` says of a host, by the rules of ssh_config(5): the first value found for a keyword counts, except that
 * IdentityFile collects. Pure: `include` gives the text of included files.
 */
export interface SshConfig {
  hostName?: string;
  port?: number;
  user?: string;
  identityFiles: string[];
  identitiesOnly?: boolean;
  identityAgent?: string;
  /** Comma-separated `[user@]host[:port]`, or `none`. */
  proxyJump?: string;
  proxyCommand?: string;
  userKnownHostsFiles?: string[];
  globalKnownHostsFiles?: string[];
  hostKeyAlias?: string;
}

/** Lines of a configuration: keyword in lower case, and the rest as words. */
type Line = [keyword: string, words: string[]];

/** How deep files may include others, as in OpenSSH. */
const DEEPEST = 16;

/** `user` is who asks, for `Match localuser`; `include` maps the words of an Include line to the texts it stands for. */
export function readSshConfig(
  text: string,
  host: string,
  context: { localUser: string; include: (pattern: string) => string[] },
): SshConfig {
  const config: SshConfig = { identityFiles: [] };
  apply(text, host, context, config, 0);
  return config;
}

function apply(
  text: string,
  host: string,
  context: { localUser: string; include: (pattern: string) => string[] },
  config: SshConfig,
  depth: number,
): void {
  let active = true;
  for (const [keyword, words] of parseLines(text)) {
    if (keyword === 'host') active = matchesHosts(host, words);
    else if (keyword === 'match') active = matches(host, words, config, context.localUser);
    else if (!active) continue;
    else if (keyword === 'include') {
      if (depth >= DEEPEST) continue;
      for (const word of words)
        for (const included of context.include(word)) apply(included, host, context, config, depth + 1);
    } else set(config, keyword, words);
  }
}

function parseLines(text: string): Line[] {
  return text.split(/\r?\n/).flatMap((raw): Line[] => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return [];
    const found = /^([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)$/.exec(line);
    if (!found) return [];
    const words = [...found[2]!.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    const comment = words.findIndex((word) => word.startsWith('#'));
    return [[found[1]!.toLowerCase(), comment < 0 ? words : words.slice(0, comment)]];
  });
}

function set(config: SshConfig, keyword: string, words: string[]): void {
  const [value] = words;
  if (value === undefined) return;
  switch (keyword) {
    case 'hostname':
      config.hostName ??= value;
      break;
    case 'port':
      config.port ??= Number(value);
      break;
    case 'user':
      config.user ??= value;
      break;
    case 'identityfile':
      config.identityFiles.push(value);
      break;
    case 'identitiesonly':
      config.identitiesOnly ??= value.toLowerCase() === 'yes';
      break;
    case 'identityagent':
      config.identityAgent ??= value;
      break;
    // Whichever of the two comes first counts.
    case 'proxyjump':
      if (config.proxyCommand === undefined) config.proxyJump ??= value;
      break;
    case 'proxycommand':
      if (config.proxyJump === undefined) config.proxyCommand ??= words.join(' ');
      break;
    case 'userknownhostsfile':
      config.userKnownHostsFiles ??= words;
      break;
    case 'globalknownhostsfile':
      config.globalKnownHostsFiles ??= words;
      break;
    case 'hostkeyalias':
      config.hostKeyAlias ??= value;
      break;
  }
}

function matchesHosts(host: string, patterns: readonly string[]): boolean {
  let found = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(host, pattern.slice(1))) return false;
    } else found ||= matchesPattern(host, pattern);
  }
  return found;
}

/** A Match line; one with criteria that cannot be judged here (`exec`, `canonical`, …) never matches. */
function matches(host: string, words: readonly string[], config: SshConfig, localUser: string): boolean {
  for (let at = 0; at < words.length; at += 1) {
    const raw = words[at]!.toLowerCase();
    const negated = raw.startsWith('!');
    const criterion = negated ? raw.slice(1) : raw;
    if (criterion === 'all') continue;
    const patterns = (words[at + 1] ?? '').split(',');
    at += 1;
    const subject = {
      host: config.hostName ?? host,
      originalhost: host,
      user: config.user ?? localUser,
      localuser: localUser,
    }[criterion];
    if (subject === undefined || matchesHosts(subject, patterns) === negated) return false;
  }
  return true;
}
