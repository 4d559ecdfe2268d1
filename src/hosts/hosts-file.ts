import os from 'node:os';
import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { addIssues, checkTree } from '../yaml/check-tree.ts';
import { describeProblems, type Problem } from '../yaml/problem.ts';
import { readText, showPath } from '../yaml/read-text.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { substituteEnvironment } from '../yaml/substitute.ts';
import { mapOver, type Tree, type TreePath } from '../yaml/tree.ts';
import { expandHome, toHostEntries } from './host-entries.ts';
import type { HostEntry } from './host-entry.ts';
import { hostsFileSchema } from './hosts-schema.ts';

export interface LoadHostsOptions {
  cwd?: string;
  /** For `${NAME}` in values. */
  env?: NodeJS.ProcessEnv;
  /** Folder that `~/` means in paths of this machine. */
  home?: string;
}

/**
 * Reads a hosts file: the hosts in order, with the file's defaults applied. Throws one `HOSTS_INVALID` with every problem: file,
 * line, column, the line itself and the nearest valid key.
 */
export function loadHosts(file: string, options: LoadHostsOptions = {}): HostEntry[] {
  const cwd = options.cwd ?? process.cwd();
  const full = path.resolve(cwd, expandHome(file, options.home ?? os.homedir()));
  const shown = showPath(full, cwd);
  const problems: Problem[] = [];
  const text = readText(full, (_, message, cause) => new DynamoError('HOSTS_INVALID', message, { cause }));
  const read = readYaml({ name: shown, text }, problems);
  const fail = (): DynamoError => {
    const { count, details } = describeProblems(problems);
    return new DynamoError('HOSTS_INVALID', `${shown} has ${count}`, { details });
  };
  if (problems.some((problem) => problem.unreadable)) throw fail();
  if (read.kind !== 'map') {
    const message =
      read.kind === 'list' ? 'expected a map with the list under `hosts:`' : 'expected a map with `hosts:`';
    problems.push({ place: { ...read.place, end: read.place.start + 1 }, message });
    throw fail();
  }
  const tree = resolvePaths(substituteEnvironment(read, options.env ?? process.env, problems), path.dirname(full));
  const checked = checkTree(tree, hostsFileSchema, (value) => {
    const { entries, issues } = toHostEntries(value, ['hosts'], options.home);
    return { result: entries, issues };
  });
  addIssues(checked.issues, tree, problems);
  if (problems.length > 0 || !checked.result) throw fail();
  return checked.result;
}

/** Paths of this machine are relative to the file they stand in. */
function resolvePaths(tree: Tree, folder: string): Tree {
  return mapOver(tree, (scalar, at) =>
    typeof scalar.value === 'string' && isLocalPath(at, scalar.value)
      ? { ...scalar, value: path.resolve(folder, scalar.value) }
      : scalar,
  );
}

/** Whether the value at this place of a hosts file (or list) is a relative path of this machine. */
export function isLocalPath(at: TreePath, value: string): boolean {
  const last = at.at(-1);
  if (path.isAbsolute(value) || value.startsWith('~/')) return false;
  if (last === 'identityAgent') return value !== 'none';
  return last === 'identityFile' || last === 'knownHosts' || last === 'fromFile';
}
