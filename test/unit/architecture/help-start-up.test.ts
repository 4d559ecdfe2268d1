import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * `dynamo --help` and shell completion read the definition of every command, so whatever these import is paid for at each start.
 * About 70 ms is the goal; what counts against it is packages, then the size of our own code.
 */
const root = path.resolve(import.meta.dirname, '../../..');
const VALUE_IMPORT = /(?:^|\n)(?:import|export)(?!\s+type\s)\s*(?:([^;'"]*?)\sfrom\s+)?['"]([^'"]+)['"]/g;

/** Everything that loads with a file: its imports at the top and theirs. `await import(…)` inside of a command's action does not count. */
function loadsWith(entry: string) {
  const files = new Map<string, number>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    const text = readFileSync(path.join(root, file), 'utf8');
    files.set(file, Buffer.byteLength(text));
    for (const [, names = '', specifier = ''] of text.matchAll(VALUE_IMPORT)) {
      const inBraces = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
      const onlyTypes = inBraces?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '));
      if (onlyTypes) continue;
      if (specifier.startsWith('.')) visit(path.join(path.dirname(file), specifier));
      else if (!specifier.startsWith('node:')) packages.add(specifier);
    }
  };
  visit(entry);
  return { files: [...files.keys()], bytes: [...files.values()].reduce((sum, size) => sum + size, 0), packages };
}

describe('what loads before a command is chosen', () => {
  const loaded = loadsWith('src/cli.ts');

  it('is every command definition and no package but commander', () => {
    expect(loaded.files).toContain('src/commands/serve.ts');
    expect(loaded.files.length).toBeGreaterThan(30);
    expect([...loaded.packages]).toEqual(['commander']);
  });

  it('is no process, no tool and no screen: only names and choices of theirs', () => {
    const heavy = [
      'agent',
      'controller',
      'tui',
      'bench',
      'doctor',
      'smoke',
      'chat',
      'init',
      'supervise',
      'plan',
      'recipe',
    ];
    expect(loaded.files.filter((file) => heavy.includes(file.split('/')[1]!))).toEqual([]);
    expect(loaded.bytes).toBeLessThan(160_000);
  });
});

describe('what loads with a process', () => {
  it.each([
    ['src/frontend/run-frontend.ts', ['pino']],
    ['src/mocker/run-mocker.ts', []],
    ['src/agent/agent.ts', ['vscode-jsonrpc/node']],
    ['src/controller/controller.ts', ['vscode-jsonrpc/node']],
  ])('%s: SSH, etcd, ZeroMQ and screens only where they are needed', (entry, packages) => {
    expect([...loadsWith(entry).packages].sort()).toEqual(packages);
  });
});
