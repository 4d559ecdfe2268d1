import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';

const runtime = path.join(packageRoot, '.runtime', 'path');

it('npm pack gives a package that installs and runs', () => {
  using tmp = tmpDir();
  // From a copy of what git has: packing rebuilds dist/, which other tests are using.
  const copy = path.join(tmp.dir, 'checkout');
  execFileSync('git', ['clone', '--quiet', packageRoot, copy]);
  execFileSync('cp', ['-rs', path.join(packageRoot, 'node_modules'), path.join(copy, 'node_modules')]);
  execFileSync('cp', ['-r', path.join(packageRoot, '.runtime'), path.join(copy, '.runtime')]);
  const env = { ...process.env, PATH: `${runtime}:${process.env['PATH']}`, DYNAMO_HOME: path.join(tmp.dir, 'home') };
  execFileSync('npm', ['pack', '--silent', '--pack-destination', tmp.dir], { cwd: copy, env });
  const tarball = readdirSync(tmp.dir).find((file) => file.endsWith('.tgz'))!;
  const place = path.join(tmp.dir, 'place');
  execFileSync(
    'npm',
    [
      'install',
      '--silent',
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--prefix',
      place,
      path.join(tmp.dir, tarball),
    ],
    { env },
  );
  const dynamo = path.join(place, 'node_modules', '.bin', 'dynamo');
  expect(execFileSync(dynamo, ['--version'], { env, encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(execFileSync(dynamo, ['smoke', 'quickstart'], { env, encoding: 'utf8' })).toContain('0 failed');
  expect(readdirSync(path.join(place, 'node_modules', 'dynamo-serve')).sort()).toEqual(
    ['LICENSE', 'README.md', 'bin', 'dist', 'docs', 'package.json', 'recipes', 'templates'].sort(),
  );
});
