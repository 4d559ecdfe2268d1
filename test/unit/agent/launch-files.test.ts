import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeLaunchFiles } from '../../../src/agent/launch-files.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

describe('writeLaunchFiles', () => {
  it('puts files where argv can name them, for their owner only', () => {
    using folder = tmpDir();
    const dir = path.join(folder.dir, 'files', 'decode-0');
    const spec = {
      argv: ['trtllm-serve', '--options', '{file:a.json}', '{file:b.json}'],
      files: [{ name: 'a.json', content: '{"a":1}' }],
    } as ProcessSpec;
    const file = path.join(dir, 'a.json');
    expect(writeLaunchFiles(spec, dir)).toEqual(['trtllm-serve', '--options', file, '{file:b.json}']);
    expect(readFileSync(file, 'utf8')).toBe('{"a":1}');
    expect(statSync(file).mode & 0o077).toBe(0);
  });

  it('leaves argv alone and writes nothing when there are none', () => {
    const argv = ['vllm', '{file:x}'];
    expect(writeLaunchFiles({ argv } as ProcessSpec, '/nowhere')).toBe(argv);
  });
});
