import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listSettings } from '../../../src/commands/settings.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const find = (env: NodeJS.ProcessEnv, name: string) => listSettings(env).find((setting) => setting.name === name);

/** Variables named in the source as strings. */
const inSource = new Set(
  readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(tsx?|sh)$/.test(file))
    .flatMap((file) => readFileSync(path.join(root, 'src', file), 'utf8').match(/\bDYNAMO_[A-Z_]*[A-Z]\b/g) ?? []),
);

describe('dynamo env', () => {
  const known = JSON.stringify(listSettings({})) + readFileSync(path.join(root, 'src/commands/settings.ts'), 'utf8');

  it.each([...inSource].filter((name) => name !== 'DYNAMO_SHIM_STAGE').sort())('knows %s', (name) => {
    expect(known).toContain(name);
  });

  it('says where a folder comes from', () => {
    expect(find({ DYNAMO_HOME: '/a' }, 'state folder')).toMatchObject({ value: '/a', source: 'DYNAMO_HOME' });
    expect(find({ XDG_STATE_HOME: '/b' }, 'state folder')).toMatchObject({
      value: '/b/dynamo',
      source: 'XDG_STATE_HOME',
    });
    expect(find({}, 'state folder')?.source).toBe('default');
    expect(find({ DYNAMO_LOCK_DIR: '/l' }, 'lock folder')).toMatchObject({
      value: '/l/dynamo',
      source: 'DYNAMO_LOCK_DIR',
    });
  });

  it('says what decides about colour and characters', () => {
    expect(find({ NO_COLOR: '1' }, 'colour')).toMatchObject({ value: 'off', source: 'NO_COLOR' });
    expect(find({ NO_COLOR: '' }, 'colour')).toMatchObject({ value: 'on terminals' });
    expect(find({ LC_ALL: 'C', LANG: 'en_US.UTF-8' }, 'characters')).toMatchObject({
      value: 'ASCII',
      source: 'LC_ALL',
    });
  });

  it('names a variable that is no setting, without its value', () => {
    const setting = find({ DYNAMO_HOEM: 'secret' }, 'DYNAMO_HOEM');
    expect(setting?.meaning).toContain('no setting of dynamo');
    expect(JSON.stringify(setting)).not.toContain('secret');
  });
});
