import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { launchFilesDir, removeLaunchFiles, writeLaunchFiles } from '../../../src/agent/launch-files.ts';
import { rememberSecrets } from '../../../src/agent/sent-secrets.ts';
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

  it('writes what was sent of the files argv names, for their owner only; a later agent finds it there', () => {
    using folder = tmpDir();
    const dir = launchFilesDir(folder.dir, 'frontend');
    const spec = {
      argv: ['frontend', '--ca', '/launcher/ca.pem', '--key', '/launcher/key.pem', '--own', '/launcher/own.pem'],
      sentFiles: ['/launcher/ca.pem', '/launcher/key.pem', '/launcher/own.pem'],
    } as ProcessSpec;
    // Nothing was sent: they are looked for where they are said to be.
    expect(writeLaunchFiles(spec, dir)).toBe(spec.argv);
    rememberSecrets({ 'file:/launcher/ca.pem': 'CA', 'file:/launcher/key.pem': 'KEY' });
    const [ca, key] = [path.join(dir, 'sent-0-ca.pem'), path.join(dir, 'sent-1-key.pem')];
    const argv = ['frontend', '--ca', ca, '--key', key, '--own', '/launcher/own.pem'];
    expect(writeLaunchFiles(spec, dir)).toEqual(argv);
    expect(readFileSync(key, 'utf8')).toBe('KEY\n');
    expect([statSync(key).mode & 0o777, statSync(dir).mode & 0o777]).toEqual([0o600, 0o700]);
    const later = { ...spec, sentFiles: ['/launcher/ca.pem', '/launcher/key.pem', '/launcher/other.pem'] };
    expect(writeLaunchFiles(later, dir)).toEqual(argv);
    removeLaunchFiles(folder.dir);
    expect(existsSync(dir)).toBe(false);
    removeLaunchFiles(folder.dir);
  });

  it('leaves argv alone and writes nothing when there are none', () => {
    const argv = ['vllm', '{file:x}'];
    expect(writeLaunchFiles({ argv } as ProcessSpec, '/nowhere')).toBe(argv);
  });
});
