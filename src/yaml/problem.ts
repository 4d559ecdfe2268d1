import { describePlace, excerptOf, type Place, positionOf } from './source.ts';

/** Something wrong at a place in a file. */
export interface Problem {
  place: Place;
  message: string;
  /** The text could not be read past here: nothing can be said about what follows. */
  unreadable?: boolean;
}

/** Something wrong at a path of the file; the loader knows the place. */
export interface PathIssue {
  path: readonly (string | number)[];
  message: string;
  /** Point at the key itself and not at its value. */
  atKey?: boolean;
  /** The key that was probably meant: what follows is checked as if it stood there. */
  meant?: string;
}

/** All problems in the order of the text, each once, with its line and a caret; and how many there are, in words. */
export function describeProblems(problems: readonly Problem[]): { count: string; details: string[] } {
  const unique = new Map(problems.map((problem) => [`${describePlace(problem.place)} ${problem.message}`, problem]));
  const sorted = [...unique.values()].sort(byPlace);
  const count = sorted.length === 1 ? 'a problem' : `${sorted.length} problems`;
  return { count, details: sorted.flatMap(describeProblem) };
}

function describeProblem(problem: Problem): string[] {
  return [`${describePlace(problem.place)}: ${problem.message}`, ...excerptOf(problem.place)];
}

function byPlace(a: Problem, b: Problem): number {
  if (a.place.source !== b.place.source)
    return a.place.source.name.localeCompare(b.place.source.name, 'en', { numeric: true });
  const [left, right] = [positionOf(a.place), positionOf(b.place)];
  return left.line - right.line || left.column - right.column;
}

/** `workers.prefill[0].args.block-size`: how a path is written in messages. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}
