// Bundles src/cli.ts into dist/ (one file per lazily loaded part, dependencies left in node_modules).
// Built beside and moved in, the entry file last, so that a command that starts meanwhile never sees half a build.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pruneDist, pruneUnfinished } from './prune-dist.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
// Not by process id: in another pid namespace somebody may build with the same one.
const fresh = mkdtempSync(path.join(root, '.dist-'));
const started = new Date();

await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outdir: fresh,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  packages: 'external',
  sourcemap: 'linked',
  jsx: 'automatic',
  logLevel: 'warning',
});

// Files that run as they are: the supervisor's shell shim.
for (const [from, to] of [['src/supervise/shim.sh', 'shim.sh']]) {
  if (!existsSync(path.join(root, from))) continue;
  cpSync(path.join(root, from), path.join(fresh, to));
  chmodSync(path.join(fresh, to), 0o755);
}
// For `dynamo version`; a build outside a checkout does not know it.
const commit = existsSync(path.join(root, '.git'))
  ? spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout
  : null;
writeFileSync(path.join(fresh, 'commit'), commit ?? '');
const stamp = path.join(fresh, '.built');
writeFileSync(stamp, `${started.toISOString()}\n`);

// Old parts stay for a while: a process started before the rebuild may still load one lazily. A package carries only the new ones.
if (process.argv.includes('--clean')) rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const previousMs = Date.parse(readText(path.join(dist, '.built')));
const built = readdirSync(fresh).filter((file) => file !== '.built');
// The entry file last: whoever starts meanwhile finds every part of the one that it reads.
const isEntry = (name) => Number(name === 'cli.js');
for (const name of built.toSorted((a, b) => isEntry(a) - isEntry(b)))
  renameSync(path.join(fresh, name), path.join(dist, name));
renameSync(stamp, path.join(dist, '.built'));
rmSync(fresh, { recursive: true, force: true });
try {
  pruneDist(dist, new Set(built), previousMs);
  pruneUnfinished(root);
} catch {
  // Somebody else does it at the same time.
}
if (!process.argv.includes('--quiet')) console.log(`built dist/ in ${Date.now() - started.getTime()} ms`);

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}
