import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { explainWriteError } from '../base/atomic-file.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';

/**
 * Writes the files of a process into `dir` and puts their paths into its argv, where a word names one as `{file:NAME}`.
 * Throws `DISK_FULL` or `STATE_UNREADABLE` with the path.
 */
export function writeLaunchFiles({ argv, files = [] }: ProcessSpec, dir: string): string[] {
  if (files.length === 0) return argv;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const { name, content } of files) writeFileSync(path.join(dir, name), content, { mode: 0o600 });
  } catch (error) {
    throw explainWriteError(error, dir);
  }
  return argv.map((word) =>
    files.reduce((text, { name }) => text.replaceAll(`{file:${name}}`, path.join(dir, name)), word),
  );
}
