import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder that holds package.json, `dist/`, `recipes/` and `templates/`: the checkout or the installed package. */
export const packageRoot: string = findRoot(path.dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json'))) return folder;
    if (folder === path.dirname(folder)) throw new Error(`no package.json above ${from}`);
  }
}

/** argv prefix that runs this dynamo again: Node and the built entry file. */
export function selfCommand(): [string, string] {
  return [process.execPath, path.join(packageRoot, 'dist', 'cli.js')];
}

export function packageVersion(): string {
  const parsed = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return parsed.version;
}
