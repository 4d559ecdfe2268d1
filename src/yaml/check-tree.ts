import type { z } from 'zod';
import type { PathIssue, Problem } from './problem.ts';
import { describePlace } from './source.ts';
import { follow, placeOf, removeAt, renameAt, type Tree, toPlain } from './tree.ts';
import { validate } from './validate.ts';

/**
 * Schema, then the rules that a schema cannot say (`finish`). When the schema finds something, that is left out (a misspelt
 * key: set right) and the rest is checked again, so that a typing error neither hides a missing part nor looks like one.
 */
export function checkTree<S extends z.ZodType, R>(
  tree: Tree,
  schema: S,
  finish: (value: z.output<S>) => { result: R | undefined; issues: PathIssue[] },
): { result: R | undefined; issues: PathIssue[] } {
  const first = validate(schema, dataOf(tree));
  if (first.issues.length === 0 && first.value !== undefined) return finish(first.value);
  const second = validate(schema, dataOf(first.issues.reduce<Tree>(setRight, tree)));
  const further = second.value === undefined ? [] : finish(second.value).issues;
  const blamed = (issue: PathIssue) =>
    first.issues.some((other) => startsWith(issue.path, other.path) || startsWith(other.path, issue.path));
  return { result: undefined, issues: [...first.issues, ...further.filter((issue) => !blamed(issue))] };
}

/** Without what is wrong; a misspelt key is taken for the one that was meant. */
function setRight(tree: Tree, issue: PathIssue): Tree {
  const above = issue.path.slice(0, -1);
  const meant = issue.meant !== undefined && !follow(tree, [...above, issue.meant]).complete;
  return meant ? renameAt(tree, issue.path, issue.meant!) : removeAt(tree, issue.path);
}

const startsWith = (path: PathIssue['path'], start: PathIssue['path']): boolean =>
  start.every((part, index) => path[index] === part);

/** Adds issues to problems with their places. What could not even be read (an unset variable) needs no second complaint. */
export function addIssues(issues: readonly PathIssue[], tree: Tree, problems: Problem[]): void {
  const unread = new Set(problems.map((problem) => describePlace(problem.place)));
  for (const issue of issues) {
    const place = placeOf(tree, issue.path, issue.atKey ?? false);
    if (!unread.has(describePlace(place))) problems.push({ place, message: issue.message });
  }
}

/** Plain data without the keys at the top that belong to the user (`x-…`). */
export function dataOf(tree: Tree): unknown {
  if (tree.kind !== 'map') return toPlain(tree);
  const entries = new Map([...tree.entries].filter(([key]) => !key.startsWith('x-')));
  return toPlain({ ...tree, entries });
}
