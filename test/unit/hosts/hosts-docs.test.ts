import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostsDocs } from '../../../src/hosts/hosts-docs.ts';

describe('docs/hosts.md', () => {
  it('has the tables that `npm run docs` writes', () => {
    const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/hosts.md'), 'utf8');
    expect(page).toBe(hostsDocs(page));
    expect(page).toContain('| `dataAddress` |');
    expect(page).toContain('### Jump');
  });
});
