import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { FrontendMetrics } from '../../../src/frontend/frontend-metrics.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const page = readFileSync(path.join(root, 'docs/operations.md'), 'utf8');
const src = path.join(root, 'src');
const code = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file) => readFileSync(path.join(src, file), 'utf8'))
  .join('\n');
/** Between agent and shim only. */
const INTERNAL = ['DYNAMO_SHIM_STAGE'];

const namesIn = (text: string, pattern: RegExp) => [...new Set(text.match(pattern) ?? [])].sort();

describe('docs/operations.md', () => {
  it('names every environment variable, and no other', () => {
    const used = namesIn(code, /\bDYNAMO_[A-Z_]+\b/g).filter((name) => !INTERNAL.includes(name));
    expect(namesIn(page, /\bDYNAMO_[A-Z_]+\b/g)).toEqual(used);
  });

  it('names only metrics that the frontend has', () => {
    const exposed = new FrontendMetrics().registry.expose();
    for (const name of namesIn(page, /dynamo_frontend_\w+/g)) expect(exposed).toContain(`# TYPE ${name} `);
  });
});
