import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  agentPaths,
  checkDeploymentName,
  deploymentDir,
  deploymentPaths,
  listDeploymentNames,
  makePrivateDir,
  stateHome,
} from '../../../src/deployment/state-dir.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

describe('stateHome', () => {
  it('is DYNAMO_HOME, else below XDG_STATE_HOME, else below the home', () => {
    expect(stateHome({ DYNAMO_HOME: '/a', XDG_STATE_HOME: '/b' })).toBe('/a');
    expect(stateHome({ DYNAMO_HOME: 'relative' })).toBe(path.resolve('relative'));
    expect(stateHome({ XDG_STATE_HOME: '/b' })).toBe('/b/dynamo');
    expect(stateHome({})).toMatch(/\/\.local\/state\/dynamo$/);
  });
});

describe('a name', () => {
  it.each(['demo', 'gpt-oss-120b', 'a', '0', 'A.b_c-d', 'x'.repeat(63)])('%s is fine', (name) =>
    expect(checkDeploymentName(name)).toBe(name),
  );

  it.each(['', '.', '..', '-x', '_x', 'a/b', '../x', 'a b', 'ü', 'a\n', 'x'.repeat(64)])('%j is refused', (name) =>
    expect(() => checkDeploymentName(name)).toThrow('cannot name a deployment'),
  );

  it('is the folder below the state home', () => {
    expect(deploymentDir('demo', { DYNAMO_HOME: '/s' })).toBe('/s/deployments/demo');
    expect(() => deploymentDir('..', { DYNAMO_HOME: '/s' })).toThrow();
  });
});

it('everything of a deployment lies in its folder', () => {
  const all = [...Object.values(deploymentPaths('/d')), ...Object.values(agentPaths('/d', 'local'))];
  expect(all.every((file) => file === '/d' || file.startsWith('/d/'))).toBe(true);
  const distinct = new Set(all);
  expect(all.length - distinct.size).toBe(0);
});

it('lists what there is, in order, and nothing where there is nothing', () => {
  using tmp = tmpDir();
  const env = { DYNAMO_HOME: tmp.dir };
  expect(listDeploymentNames(env)).toEqual([]);
  for (const name of ['b', 'a']) mkdirSync(path.join(tmp.dir, 'deployments', name), { recursive: true });
  expect(listDeploymentNames(env)).toEqual(['a', 'b']);
  expect(() => listDeploymentNames({ DYNAMO_HOME: '/dev/null' })).toThrow(/cannot read/);
});

it('a private folder is closed to others, and one that cannot be made is named', () => {
  using tmp = tmpDir();
  const dir = path.join(tmp.dir, 'a', 'b');
  makePrivateDir(dir);
  makePrivateDir(dir);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  writeFileSync(path.join(tmp.dir, 'file'), '');
  expect(() => makePrivateDir(path.join(tmp.dir, 'file', 'x'))).toThrow(/ENOTDIR/);
});
