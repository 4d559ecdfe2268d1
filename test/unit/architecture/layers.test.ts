import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { RANK } from '../../helpers/layer-ranks.ts';

const src = path.resolve(import.meta.dirname, '../../../src');

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function sourceFiles(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(src, file), 'utf8');
  const found: Import[] = [];
  for (const match of text.matchAll(/(?:^|\n)(import|export)(\s+type)?\s[^;'"]*?from\s+['"](\.[^'"]+)['"]/g)) {
    const braces = /\{([^}]*)\}/.exec(match[0])?.[1];
    const everyNameIsType =
      braces?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) ?? false;
    found.push({ from: file, to: resolve(file, match[3]!), typeOnly: Boolean(match[2]) || everyNameIsType });
  }
  for (const match of text.matchAll(/import\(\s*['"](\.[^'"]+)['"]\s*\)/g)) {
    found.push({ from: file, to: resolve(file, match[1]!), typeOnly: false });
  }
  return found;
}

const resolve = (file: string, specifier: string) => path.join(path.dirname(file), specifier);
const folderOf = (file: string) => file.split('/')[0]!;
const imports = sourceFiles().flatMap(importsOf);

describe('layers', () => {
  it('knows the rank of every folder', () => {
    const unknown = [...new Set(sourceFiles().map(folderOf))].filter((folder) => !(folder in RANK));
    expect(unknown).toEqual([]);
  });

  it('lets a file import from its own folder and from lower ranks only', () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      const [a, b] = [folderOf(from), folderOf(to)];
      if (a === b) return false;
      const sidewaysType = typeOnly && Math.floor(RANK[a]!) === 2 && Math.floor(RANK[b]!) === 2;
      return !sidewaysType && RANK[a]! <= RANK[b]!;
    });
    expect(wrong).toEqual([]);
  });

  it('has no import cycle between files, types included', () => {
    const edges = new Map<string, string[]>();
    for (const { from, to } of imports) edges.set(from, [...(edges.get(from) ?? []), to]);
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, trail: string[]): void => {
      if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
      if (done.has(file) || trail.includes(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...trail, file]);
      done.add(file);
    };
    for (const file of edges.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('has no barrel file, no process.exit outside cli.ts, and no file past 400 lines', () => {
    expect(sourceFiles().filter((file) => /(^|\/)index\.tsx?$/.test(file))).toEqual([]);
    const read = (file: string) => readFileSync(path.join(src, file), 'utf8');
    expect(sourceFiles().filter((file) => file !== 'cli.ts' && /process\.exit\(/.test(read(file)))).toEqual([]);
    expect(sourceFiles().filter((file) => read(file).split('\n').length > 400)).toEqual([]);
  });
});
