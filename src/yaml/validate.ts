import type { z } from 'zod';
import { didYouMean, nearest } from './nearest.ts';
import { formatPath, type PathIssue } from './problem.ts';
import { keysAt, placesOfKey } from './schema-keys.ts';

/** Checks data against a schema. Returns the value, or every issue in words. */
export function validate<S extends z.ZodType>(
  schema: S,
  data: unknown,
): { value: z.output<S>; issues: [] } | { value: undefined; issues: PathIssue[] } {
  const result = schema.safeParse(data, { error: (issue) => explain(issue), reportInput: true });
  if (result.success) return { value: result.data, issues: [] };
  return { value: undefined, issues: result.error.issues.flatMap((issue) => toIssues(issue, schema, [])) };
}

type Issue = z.core.$ZodIssue;

function toIssues(issue: Issue, schema: z.ZodType, above: readonly (string | number)[]): PathIssue[] {
  const path = [...above, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema));
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message, atKey: true }];
  if (issue.code === 'invalid_union') {
    const inner = likeliestBranch(issue.errors);
    if (inner) return inner.flatMap((nested) => toIssues(nested, schema, path));
  }
  if (isMissing(issue)) return [{ path, message: `\`${path.at(-1)}\` is missing; ${issue.message}`, atKey: true }];
  return [{ path, message: issue.message }];
}

/** Of a union, the one alternative whose type fits and that complains about its inside only. */
function likeliestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const fitting = branches.filter(
    (issues) =>
      issues.length > 0 && issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  const best = fitting.sort((a, b) => unknownKeys(a) - unknownKeys(b) || a.length - b.length)[0];
  // What is missing is then most likely what is misspelt.
  return best && unknownKeys(best) > 0 ? best.filter((issue) => !isMissing(issue)) : best;
}

const isMissing = (issue: Issue): boolean =>
  issue.code === 'invalid_type' && issue.input === undefined && issue.path.length > 0;

const unknownKeys = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 0), 0);

function unknownKey(key: string, above: readonly (string | number)[], schema: z.ZodType): PathIssue {
  const allowed = keysAt(schema, above);
  const close = nearest(key, allowed);
  const issue = { path: [...above, key], message: explainKey(key, above, allowed, schema), atKey: true };
  return close === undefined ? issue : { ...issue, meant: close };
}

function explainKey(
  key: string,
  path: readonly (string | number)[],
  allowed: readonly string[],
  schema: z.ZodType,
): string {
  const where = path.length === 0 ? 'at the top' : `in \`${formatPath(path)}\``;
  const close = nearest(key, allowed);
  if (close !== undefined) return `unknown key \`${key}\` ${where}; did you mean \`${close}\`?`;
  const elsewhere = placesOfKey(schema, key).filter((place) => !place.startsWith('models'));
  if (elsewhere.length > 0) {
    const places = elsewhere.map((place) => (place === '' ? 'the top' : `\`${place}\``)).slice(0, 3);
    return `unknown key \`${key}\` ${where}; it belongs ${places[0] === 'the top' ? 'at' : 'in'} ${places.join(' or ')}`;
  }
  return allowed.length === 0
    ? `unknown key \`${key}\` ${where}`
    : `unknown key \`${key}\` ${where}; known are ${allowed.join(', ')}`;
}

/** One issue in words. Used where the schema gives none of its own. */
function explain(issue: z.core.$ZodRawIssue): string {
  const input: unknown = issue.input;
  if (input === undefined && issue.code === 'invalid_type') return `expected ${typeName(issue.expected)}`;
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeName(issue.expected)}, found ${describe(input)}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      const list = values.length === 1 ? values[0] : `one of ${values.join(', ')}`;
      return `expected ${list}, found ${describe(input)}${typeof input === 'string' ? didYouMean(input, values) : ''}`;
    }
    case 'too_small':
      return `expected ${bound(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum)}, found ${size(input)}`;
    case 'too_big':
      return `expected ${bound(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)}, found ${size(input)}`;
    case 'invalid_union':
      return `unexpected ${describe(input)}`;
    default:
      return `not valid here: ${describe(input)}`;
  }
}

function bound(origin: string, words: string, limit: number | bigint): string {
  if (origin === 'string') return `${words} ${limit} character${Number(limit) === 1 ? '' : 's'}`;
  if (origin === 'array') return `${words} ${limit} item${Number(limit) === 1 ? '' : 's'}`;
  return `${words} ${limit}`;
}

const size = (input: unknown): string =>
  typeof input === 'string' || Array.isArray(input) ? String(input.length) : String(input);

const TYPE_NAMES: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'nothing',
};

const typeName = (type: string): string => TYPE_NAMES[type] ?? type;

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return `the text "${value.length > 40 ? `${value.slice(0, 39)}…` : value}"`;
  return String(value);
}
