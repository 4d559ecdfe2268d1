import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../../src/commands/program.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const program = buildProgram('0.0.0');

/** Pages and recipes in which people read what to type. docs/cli.md is generated. */
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...readdirSync(path.join(root, 'docs'))
    .filter((file) => file.endsWith('.md') && file !== 'cli.md')
    .map((file) => `docs/${file}`),
  ...readdirSync(path.join(root, 'recipes')).map((file) => `recipes/${file}`),
];

/** What can be typed: lines of code blocks and comments that begin with it, and code within the text. */
function commandLines(page: string): string[] {
  const text = readFileSync(path.join(root, page), 'utf8');
  const lines = text.split('\n').flatMap((line) => {
    const match = /^[\s#]*(?:\$ )?((?:[A-Z_]+=\S+ )*(?:\.\/bin\/)?dynamo [a-z-].*)$/.exec(line);
    return match?.[1] ? [match[1]] : [];
  });
  const spans = [...text.matchAll(/`((?:\.\/bin\/)?dynamo [a-z-][^`\n]*)`/g)].map((match) => match[1]!);
  return [...lines, ...spans];
}

/** Words up to a comment, a pipe or the next command. */
function wordsOf(line: string): string[] {
  const own = line
    .replace(/^(?:[A-Z_]+=\S+ )+/, '')
    .replace(/^(?:\.\/bin\/)?dynamo\s+/, '')
    .split(/\s+#\s|\s*[|;&>]|\s\\$/)[0]!;
  return (own.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) => word.replace(/[.,:)]+$/, ''));
}

interface Typed {
  command: Command;
  unknown: string[];
}

/** The command that the words name, and what of them it does not know. Undefined for prose. */
function read(words: readonly string[]): Typed | undefined {
  let command: Command = program;
  let at = 0;
  for (; at < words.length; at += 1) {
    const next = command.commands.find((child) => child.name() === words[at]);
    if (!next) break;
    command = next;
  }
  if (command === program && !words[0]?.startsWith('-')) return { command, unknown: words.slice(0, 1) };
  const known = [...command.options, ...program.options].flatMap((option) => [option.long, option.short]);
  const unknown = words
    .slice(at)
    .filter((word) => /^--?[a-zA-Z]/.test(word) && word !== '--help' && word !== '-h')
    .map((word) => word.split('=')[0]!)
    .filter((word) => !known.includes(word) && !/^-[a-zA-Z]\S+$/.test(word));
  return { command, unknown };
}

describe('what documents tell people to type', () => {
  it.each(pages)('%s: commands and options that exist', (page) => {
    for (const line of commandLines(page)) {
      const words = wordsOf(line);
      // `dynamo serve|status`, `dynamo recipe list|show`, `dynamo COMMAND --help`: ways of speaking of several.
      if (/^[a-z]+\|/.test(line.replace(/^.*?dynamo\s+/, '')) || /^[A-Z]/.test(words[0] ?? '')) continue;
      expect([line, read(words)?.unknown]).toEqual([line, []]);
    }
  });

  it.each(pages)('%s: recipes that exist', (page) => {
    const text = readFileSync(path.join(root, page), 'utf8');
    for (const [file] of text.matchAll(/(?<![\w./-])recipes\/[\w.-]+\.yaml/g))
      expect([file, existsSync(path.join(root, file))]).toEqual([file, true]);
  });

  it('finds commands at all', () => {
    const all = pages.flatMap(commandLines);
    expect(all.length).toBeGreaterThan(100);
    expect(read(wordsOf('dynamo serve x --no-such-option 3'))?.unknown).toEqual(['--no-such-option']);
    expect(read(wordsOf('dynamo sreve x'))?.unknown).toEqual(['sreve']);
    expect(read(wordsOf('dynamo doctor kv-path --json'))?.unknown).toEqual([]);
  });
});
