import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { DynamoError } from '../../base/errors.ts';
import { matchesPattern } from './known-hosts.ts';

/** Who asks for which host, and what is known of it when a Match line is reached. */
export interface MatchSubject {
  /** As it was asked for. */
  originalHost: string;
  /** After HostName. */
  host: string;
  user: string;
  localUser: string;
  /** Of the Tag keyword. */
  tag: string;
  /** Configuration is read for the second time, for `Match final`. */
  final: boolean;
}

/** The machine that a configuration is read on. */
export interface MatchMachine {
  /** Runs a command of `Match exec`, tokens expanded, and says whether it ended with 0. */
  exec(command: string): Promise<boolean>;
  /** Addresses of this machine, for `Match localnetwork`. */
  addresses(): readonly string[];
}

export type MatchResult = { matches: boolean; wantsFinal: boolean };

/**
 * Judges a Match line by the rules of ssh_config(5): all criteria must hold, `!` turns one round, and one that fails keeps the commands
 * after it from being run. Throws `HOST_UNREACHABLE` with the line for a criterion that cannot be judged. `place`: `FILE:LINE`.
 */
export async function judgeMatch(
  words: readonly string[],
  subject: MatchSubject,
  machine: MatchMachine,
  place: string,
): Promise<MatchResult> {
  const result = { matches: words.length > 0, wantsFinal: false };
  for (let at = 0; at < words.length; at += 1) {
    const raw = words[at]!;
    const negated = raw.startsWith('!');
    const criterion = (negated ? raw.slice(1) : raw).toLowerCase();
    // Whatever comes before it: it asks for the second reading that it is for.
    if (criterion === 'final') result.wantsFinal = true;
    const takesValue = !['all', 'canonical', 'final'].includes(criterion);
    const value = takesValue ? words[++at] : '';
    if (!result.matches) continue;
    if (value === undefined) throw cannotJudge(place, words, `\`${raw}\` has no value`);
    result.matches = (await holds(criterion, value, subject, machine, place, words)) !== negated;
  }
  return result;
}

function holds(
  criterion: string,
  value: string,
  subject: MatchSubject,
  machine: MatchMachine,
  place: string,
  words: readonly string[],
): boolean | Promise<boolean> {
  switch (criterion) {
    case 'all':
      return true;
    case 'final':
      return subject.final;
    // Names are never made canonical here, which is OpenSSH's default too.
    case 'canonical':
      return false;
    case 'host':
      return matchesList(subject.host, value);
    case 'originalhost':
      return matchesList(subject.originalHost, value);
    case 'user':
      return matchesList(subject.user, value);
    case 'localuser':
      return matchesList(subject.localUser, value);
    case 'tagged':
      return matchesList(subject.tag, value);
    case 'exec':
      return machine.exec(value);
    case 'localnetwork':
      return inNetworks(machine.addresses(), value, () => cannotJudge(place, words, `${value} is no network`));
    default:
      throw cannotJudge(place, words, `dynamo does not know \`${criterion}\``);
  }
}

export function matchesList(text: string, patterns: string | readonly string[]): boolean {
  let found = false;
  for (const pattern of typeof patterns === 'string' ? patterns.split(',') : patterns) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(text, pattern.slice(1))) return false;
    } else found ||= matchesPattern(text, pattern);
  }
  return found;
}

/** `10.0.0.0/8,!10.1.0.0/16,fd00::/8` */
function inNetworks(addresses: readonly string[], value: string, refuse: () => Error): boolean {
  const lists = { wanted: new BlockList(), unwanted: new BlockList() };
  for (const word of value.split(',')) {
    const unwanted = word.startsWith('!');
    const [network = '', bits] = (unwanted ? word.slice(1) : word).split('/');
    const family = familyOf(network);
    const most = family === 'ipv4' ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    if (family === undefined || !Number.isInteger(prefix) || prefix < 0 || prefix > most) throw refuse();
    lists[unwanted ? 'unwanted' : 'wanted'].addSubnet(network, prefix, family);
  }
  const isIn = (list: BlockList) => addresses.some((address) => list.check(address, familyOf(address) ?? 'ipv4'));
  return isIn(lists.wanted) && !isIn(lists.unwanted);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  if (isIPv4(address)) return 'ipv4';
  return isIPv6(address) ? 'ipv6' : undefined;
}

function cannotJudge(place: string, words: readonly string[], why: string): DynamoError {
  return new DynamoError(
    'HOST_UNREACHABLE',
    `${place}: cannot tell whether \`Match ${words.join(' ')}\` holds: ${why}`,
    {
      hint: 'Name the host in the hosts file by its address instead, or write that line in another way (host, originalhost, user, localuser, tagged, localnetwork, exec, final, all).',
    },
  );
}
