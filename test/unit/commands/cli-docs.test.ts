import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cliDocs, helpOf, visibleCommands } from '../../../src/commands/cli-docs.ts';
import { buildProgram } from '../../../src/commands/program.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const program = buildProgram('1.2.3');
const commands = visibleCommands(program).filter((command) => command.name() !== 'help');

describe('docs/cli.md', () => {
  it('is what `npm run docs` writes', () => {
    expect(readFileSync(path.join(root, 'docs/cli.md'), 'utf8')).toBe(cliDocs());
  });

  it('names every command', () => {
    expect(commands.map((command) => command.name())).toEqual(
      expect.arrayContaining(['serve', 'status', 'stop', 'recipe', 'validate']),
    );
    expect(cliDocs()).not.toContain('## dynamo agent');
  });
});

describe('the help of every visible command', () => {
  it.each(commands.map((command) => [command.name(), command] as const))('%s: same form, one example', (_, command) => {
    expect(command.description()).toMatch(/^[A-Z].*[^.]$/);
    const help = helpOf(command);
    expect(help).toMatch(/\nExample:\n {2}\$ .*dynamo /);
    expect(help).toContain('show this help');
    for (const option of command.options.filter((each) => !each.hidden)) {
      expect(option.description, `${command.name()} ${option.flags}`).toMatch(/^(?![A-Z][a-z]|.*\.$)|^Mooncake/);
    }
    for (const argument of command.registeredArguments) expect(argument.description).toMatch(/^[a-z].*[^.]$/);
  });

  it('says nothing of defaults that are off or empty, and does not quote the others', () => {
    const all = commands.map(helpOf).join('\n');
    expect(all).not.toMatch(/default: (\[\]|false|true|")/);
    expect(all).toContain('(default: 8000)');
  });
});
