import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../../src/base/errors.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const page = readFileSync(path.join(root, 'docs/errors.md'), 'utf8');
const codes = Object.keys(ERRORS) as ErrorCode[];

interface Section {
  code: string;
  exit: number;
  http: number | undefined;
  text: string;
  reserved: boolean;
}

const sections: Section[] = page
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const status = /^Exit (\d+)(?:, HTTP (\d+))?\.$/m.exec(text);
    return {
      code: text.slice(0, text.indexOf('\n')),
      exit: Number(status?.[1] ?? Number.NaN),
      http: status?.[2] === undefined ? undefined : Number(status[2]),
      text: text.split(/^## /m)[0]!,
      reserved: page.indexOf(`### ${text}`) > page.indexOf('## Reserved'),
    };
  });

describe('docs/errors.md', () => {
  it('has one section for every code, and no other', () => {
    expect(sections.map(({ code }) => code).sort()).toEqual([...codes].sort());
  });

  it.each(codes)('%s: same exit and HTTP status as the table, what it means, what to do', (code) => {
    const section = sections.find((each) => each.code === code)!;
    const entry: { exit: number; http?: number } = ERRORS[code];
    expect({ exit: section.exit, http: section.http }).toEqual({ exit: entry.exit, http: entry.http });
    expect(section.text.trim().split('\n').length).toBeGreaterThanOrEqual(4);
  });

  it('explains every exit status of the table', () => {
    const explained = [...page.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
    expect(explained).toEqual(expect.arrayContaining([...new Set(codes.map((code) => ERRORS[code].exit))]));
  });

  it('calls reserved exactly the codes that nothing raises', () => {
    const src = path.join(root, 'src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' });
    const texts = files
      .filter((file) => file.endsWith('.ts') && file !== 'base/errors.ts')
      .map((file) => readFileSync(path.join(src, file), 'utf8'));
    const silent = codes.filter((code) => !texts.some((text) => text.includes(`'${code}'`)));
    expect(silent).toEqual(sections.filter(({ reserved }) => reserved).map(({ code }) => code));
  });
});
