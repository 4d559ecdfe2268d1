import path from 'node:path';

/** argv of a program in test/fixtures/bin. */
export function fixtureBin(name: string, ...args: string[]): string[] {
  const file = path.join(import.meta.dirname, '../fixtures/bin', name);
  return name.endsWith('.mjs') ? [process.execPath, file, ...args] : ['/bin/sh', file, ...args];
}
