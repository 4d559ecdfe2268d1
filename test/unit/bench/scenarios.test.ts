import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Scenario } from '../../bench/support/scenario.ts';

const folder = path.resolve(import.meta.dirname, '../../bench');
const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));

describe('scenarios of npm run bench', () => {
  it.each(files)('%s can be run by its name', async (file) => {
    const { scenario } = (await import(path.join(folder, file))) as { scenario: Scenario };
    expect(scenario.name).toBe(path.basename(file, '.ts'));
    expect(scenario.title).not.toBe('');
    expect(scenario.run).toBeTypeOf('function');
  });
});
