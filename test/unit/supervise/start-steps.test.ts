import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { START_STEPS } from '../../../src/supervise/start-steps.ts';

const sources = ['agent', 'controller'].map((folder) => {
  const dir = path.join(import.meta.dirname, '../../../src', folder);
  return {
    folder,
    text: readdirSync(dir)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(path.join(dir, file), 'utf8'))
      .join('\n'),
  };
});

describe('START_STEPS', () => {
  it('has each step once', () => {
    const names = START_STEPS.map((step) => step.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(sources)('names exactly the steps that the $folder goes through', ({ folder, text }) => {
    const taken = new Set(
      [...text.matchAll(/(?:step|crashPoint)\((?:options, )?'([a-z]+)'/g)].map((match) => match[1]),
    );
    const named = START_STEPS.filter(({ actors }) => (actors as readonly string[]).includes(folder)).map(
      ({ name }) => name,
    );
    expect([...taken].sort()).toEqual([...named].sort());
  });
});
