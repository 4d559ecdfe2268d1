import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

/** Path of a program as a shell would find it; `undefined` when there is none. A name with a slash is a path already. */
export function findCommand(name: string, searchPath: string = process.env['PATH'] ?? ''): string | undefined {
  if (name.includes('/')) return isProgram(name) ? path.resolve(name) : undefined;
  for (const folder of searchPath.split(path.delimiter)) {
    // An empty part means the working folder to a shell; running what lies there by accident helps nobody.
    if (folder === '') continue;
    const candidate = path.join(folder, name);
    if (isProgram(candidate)) return candidate;
  }
  return undefined;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
