import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { explainWriteError } from '../base/atomic-file.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { sentSecret } from './sent-secrets.ts';

/** Where the files of a process lie, below its agent's folder. */
export const launchFilesDir = (agentDir: string, name: string): string => path.join(agentDir, 'files', name);

/** Removes those of all processes: secrets may be among them. Throws what the file system says. */
export function removeLaunchFiles(agentDir: string): void {
  rmSync(path.join(agentDir, 'files'), { recursive: true, force: true });
}

/**
 * Writes the files of a process into `dir` and puts their paths into its argv: where a word names one as `{file:NAME}`, and where it
 * is a file of the controller's machine whose content was sent, now or to an agent before this one.
 * Throws `DISK_FULL` or `STATE_UNREADABLE` with the path.
 */
export function writeLaunchFiles({ argv, files = [], sentFiles = [] }: ProcessSpec, dir: string): string[] {
  const sent = new Map<string, string>();
  try {
    if (files.length + sentFiles.length > 0) mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const { name, content } of files) writeFileSync(path.join(dir, name), content, { mode: 0o600 });
    for (const [index, file] of sentFiles.entries()) {
      const own = path.join(dir, `sent-${index}-${path.basename(file)}`);
      const content = sentSecret({ fromFile: file });
      if (content !== undefined) writeFileSync(own, `${content}\n`, { mode: 0o600 });
      if (content !== undefined || existsSync(own)) sent.set(file, own);
    }
  } catch (error) {
    throw explainWriteError(error, dir);
  }
  if (files.length + sent.size === 0) return argv;
  return argv.map(
    (word) =>
      sent.get(word) ?? files.reduce((text, { name }) => text.replaceAll(`{file:${name}}`, path.join(dir, name)), word),
  );
}
