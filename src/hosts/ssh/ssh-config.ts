import { judgeMatch, type MatchMachine, matchesList } from './ssh-match.ts';
import { expandTokens } from './ssh-tokens.ts';

/**
 * What `~/.ssh/config` says of a host, by the rules of ssh_config(5): the first value found for a keyword counts, except that
 * IdentityFile collects.
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
  /** As it is written, quotes and tokens included, with its `FILE:LINE`; or `none`. */
  proxyCommand?: { command: string; place: string };
  /** The command hands over a connection instead of being one. */
  proxyUseFdpass?: boolean;
  userKnownHostsFiles?: string[];
  globalKnownHostsFiles?: string[];
  hostKeyAlias?: string;
  tag?: string;
}

/** One file of a configuration. */
export interface SshConfigText {
  file: string;
  text: string;
  /** What Include lines are relative to: the folder of the first file, also within files that it includes. */
  folder: string;
}

/** Who reads, and where. All that is not text comes through it. */
export interface SshConfigContext {
  localUser: string;
  /** User that was asked for on top of what the configuration says. */
  user?: string | undefined;
  /** The files an Include line stands for. */
  include(pattern: string, folder: string): Pick<SshConfigText, 'file' | 'text'>[];
  /** Runs a command of `Match exec` and says whether it ended with 0; `place` is its `FILE:LINE`. */
  exec(command: string, place: string): Promise<boolean>;
  addresses(): readonly string[];
  /** More tokens for `Match exec`: `%d`, `%L`, `%l`, `%i`. */
  tokens?: Readonly<Record<string, string>>;
}

interface Line {
  /** In lower case. */
  keyword: string;
  words: string[];
  /** What follows the keyword, as it is written. */
  rest: string;
  place: string;
}

/** A reading of all files under way. */
interface Reading {
  host: string;
  context: SshConfigContext;
  config: SshConfig;
  final: boolean;
  wantsFinal: boolean;
}

/** How deep files may include others, as in OpenSSH. */
const DEEPEST = 16;

/** What the files, the user's before the system's, say of a host. Throws `HOST_UNREACHABLE` for lines that cannot be judged. */
export async function readSshConfig(
  texts: readonly SshConfigText[],
  host: string,
  context: SshConfigContext,
): Promise<SshConfig> {
  const reading: Reading = { host, context, config: { identityFiles: [] }, final: false, wantsFinal: false };
  for (const text of texts) await apply(text, reading, 0);
  if (!reading.wantsFinal) return reading.config;
  // As OpenSSH does for `Match final`: all once more, what is known already counts.
  const { identityFiles } = reading.config;
  const second: Reading = { ...reading, config: { ...reading.config, identityFiles: [] }, final: true };
  for (const text of texts) await apply(text, second, 0);
  const files = [...new Set([...identityFiles, ...second.config.identityFiles])];
  return { ...second.config, identityFiles: files };
}

async function apply(source: SshConfigText, reading: Reading, depth: number): Promise<void> {
  const { context, config } = reading;
  let active = true;
  for (const line of parseLines(source)) {
    if (line.keyword === 'host') active = matchesList(reading.host, line.words);
    else if (line.keyword === 'match') active = await matches(line, reading);
    else if (!active) continue;
    else if (line.keyword === 'include') {
      if (depth >= DEEPEST) continue;
      for (const { file, text } of line.words.flatMap((word) => context.include(word, source.folder)))
        await apply({ ...source, file, text }, reading, depth + 1);
    } else set(config, line);
  }
}

function parseLines({ file, text }: SshConfigText): Line[] {
  return text.split(/\r?\n/).flatMap((raw, index): Line[] => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return [];
    const found = /^([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)$/.exec(line);
    if (!found) return [];
    const rest = found[2]!;
    const words = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    const comment = words.findIndex((word) => word.startsWith('#'));
    return [
      {
        keyword: found[1]!.toLowerCase(),
        words: comment < 0 ? words : words.slice(0, comment),
        rest,
        place: `${file}:${index + 1}`,
      },
    ];
  });
}

function set(config: SshConfig, { keyword, words, rest, place }: Line): void {
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
      if (config.proxyJump === undefined) config.proxyCommand ??= { command: rest, place };
      break;
    case 'proxyusefdpass':
      config.proxyUseFdpass ??= value.toLowerCase() === 'yes';
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
    case 'tag':
      config.tag ??= value;
      break;
  }
}

async function matches({ words, place }: Line, reading: Reading): Promise<boolean> {
  const { host: originalHost, context, config, final } = reading;
  const host = expandTokens(config.hostName ?? originalHost, { h: originalHost }, place);
  const user = context.user ?? config.user ?? context.localUser;
  const tokens = {
    ...context.tokens,
    ...{ h: host, n: originalHost, p: String(config.port ?? 22), r: user, u: context.localUser },
    k: config.hostKeyAlias ?? originalHost,
  };
  const machine: MatchMachine = {
    exec: (command) => context.exec(expandTokens(command, tokens, place), place),
    addresses: context.addresses,
  };
  const subject = { originalHost, host, user, localUser: context.localUser, tag: config.tag ?? '', final };
  const result = await judgeMatch(words, subject, machine, place);
  reading.wantsFinal ||= result.wantsFinal;
  return result.matches;
}
