import { parseDuration } from '../base/duration.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { LoggedLine } from '../deployment/logs/log-history.ts';

/** Which lines are wanted. */
export interface LogQuery {
  /** Newest lines of each process; undefined: all. */
  tail: number | undefined;
  /** Milliseconds since 1970. */
  since: number | undefined;
  until: number | undefined;
  pattern: RegExp | undefined;
  /** Whether any line may be left out. */
  filters: boolean;
}

const DEFAULT_TAIL = 20;

/** Reads the flags of `dynamo logs`. `now` in milliseconds since 1970. Throws `USAGE`. */
export function readQuery(
  flags: { tail?: string; since?: string; until?: string; grep?: string },
  now: number,
): LogQuery {
  const since = flags.since === undefined ? undefined : parseTime('--since', flags.since, now);
  const until = flags.until === undefined ? undefined : parseTime('--until', flags.until, now);
  if (since !== undefined && until !== undefined && since > until)
    throw new DynamoError('USAGE', `--since ${flags.since} is after --until ${flags.until}`);
  const timed = since !== undefined || until !== undefined;
  const tail = flags.tail === undefined ? (timed ? undefined : DEFAULT_TAIL) : parseCount(flags.tail);
  const pattern = flags.grep === undefined ? undefined : parsePattern(flags.grep);
  return { tail, since, until, pattern, filters: timed || pattern !== undefined };
}

/** A line that arrived at some time in an interval is shown when any of that time is asked for. */
export function matchesQuery(line: LoggedLine, query: LogQuery): boolean {
  const { arrival } = line;
  if (query.since !== undefined && arrival && arrival.at < query.since) return false;
  if (query.until !== undefined && (!arrival || (arrival.from ?? arrival.at) > query.until)) return false;
  return query.pattern?.test(line.text) ?? true;
}

/** `10m` ago, or a date and time; without a zone it is local. Milliseconds since 1970. Throws `USAGE`. */
export function parseTime(flag: string, text: string, now: number): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new DynamoError('USAGE', `${flag} wants a time, not ${text}`, {
      hint: 'For example 30s, 10m, 2h, 2026-01-31 or 2026-01-31T12:00:00Z.',
    });
  }
  return time;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new DynamoError('USAGE', `--tail wants a number of lines, not ${text}`);
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, /\p{Lu}/u.test(text) ? 'u' : 'iu');
  } catch (error) {
    throw new DynamoError('USAGE', `--grep wants a regular expression: ${messageOf(error)}`, {
      hint: 'Put a backslash before signs that mean themselves: --grep "\\[error\\]".',
    });
  }
}
