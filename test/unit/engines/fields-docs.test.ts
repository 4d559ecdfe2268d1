import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { enginesDocs } from '../../../src/engines/fields-docs.ts';

it('docs/engines.md has the tables that `npm run docs` writes', () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/engines.md'), 'utf8');
  expect(page).toBe(enginesDocs(page));
  expect(page).toContain('| `max_tokens` | `1` | as sent | `max_tokens` |');
  expect(page).toContain('### SGLang');
});
