// Builds dist/kits/VERSION-HASH/: what a remote host needs to run agent, frontend and mocker, without node_modules. A bundle in parts, the shim,
// etcd's protocol files, ZeroMQ's binaries, and checksums of all; its name is made of the version and a hash of the content.
import { createHash } from 'node:crypto';
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
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const kits = path.join(root, 'dist', 'kits');
mkdirSync(kits, { recursive: true });
// Not by process id: in another pid namespace somebody may build with the same one.
const fresh = mkdtempSync(path.join(kits, '.kit-'));
chmodSync(fresh, 0o755);
const started = Date.now();
// Which build of dist/ it belongs to: a source checkout builds the kit anew when that has changed. Read before the sources are, so that
// what changes meanwhile shows.
const built = readStamp();
const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** The whole list of commands would bring everything along. */
const fewerCommands = {
  name: 'fewer-commands',
  setup(bundler) {
    bundler.onResolve({ filter: /\/registry\.ts$/ }, ({ importer }) =>
      importer.startsWith(path.join(root, 'src'))
        ? { path: path.join(root, 'src', 'commands', 'kit-registry.ts') }
        : undefined,
    );
  },
};

await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outdir: path.join(fresh, 'dist'),
  bundle: true,
  // One file a lazily loaded part: an agent that had to read all of them took twice the time to start.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  // What CommonJS packages expect to find around them.
  banner: {
    js: [
      `import { createRequire as kitRequire } from 'node:module';`,
      `import { fileURLToPath as kitPath } from 'node:url';`,
      `const require = kitRequire(import.meta.url);`,
      `const __filename = kitPath(import.meta.url);`,
      `const __dirname = kitPath(new URL('.', import.meta.url));`,
    ].join('\n'),
  },
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  plugins: [fewerCommands],
  logLevel: 'error',
});

cpSync(path.join(root, 'src', 'supervise', 'shim.sh'), path.join(fresh, 'dist', 'shim.sh'));
chmodSync(path.join(fresh, 'dist', 'shim.sh'), 0o755);
// etcd3 reads them from `../proto` of the file it is in.
cpSync(path.join(root, 'node_modules', 'etcd3', 'proto'), path.join(fresh, 'proto'), { recursive: true });
copyZeromq();
// `node` beside it is made when it is installed: the host's own, or one that was brought.
// biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, not ours
const start = '#!/bin/sh\nhere=${0%/*}\nNODE_COMPILE_CACHE=$here/.cache exec "$here/node" "$here/dist/cli.js" "$@"\n';
writeFileSync(path.join(fresh, 'dynamo'), start, { mode: 0o755 });
writeFileSync(path.join(fresh, 'package.json'), `${JSON.stringify({ name, version, type: 'module' })}\n`);

const files = list(fresh).sort();
const sums = files.map((file) => `${sha256(readFileSync(path.join(fresh, file)))}  ${file}\n`).join('');
writeFileSync(path.join(fresh, 'SHA256SUMS'), sums);
const id = `${version}-${sha256(sums).slice(0, 12)}`;
writeFileSync(path.join(fresh, 'kit.json'), `${JSON.stringify({ id, files: [...files, 'SHA256SUMS'], built })}\n`);

// Named by its content and never changed, so that nobody who copies it meanwhile sees two builds mixed.
const kit = path.join(kits, id);
try {
  renameSync(fresh, kit);
} catch (error) {
  if (!existsSync(path.join(kit, 'SHA256SUMS'))) throw error;
  rmSync(fresh, { recursive: true, force: true });
  // In use again, hence not old.
  utimesSync(kit, new Date(), new Date());
}
const pointer = `${fresh}.json`;
writeFileSync(pointer, `${JSON.stringify({ id, files: [...files, 'SHA256SUMS'], built })}\n`);
renameSync(pointer, path.join(kits, 'kit.json'));
for (const old of readdirSync(kits)) {
  // Others build at the same time: what was listed may be gone.
  const stat = statSync(path.join(kits, old), { throwIfNoEntry: false });
  if (old !== id && old !== 'kit.json' && stat !== undefined && Date.now() - stat.mtimeMs > 86_400_000)
    rmSync(path.join(kits, old), { recursive: true, force: true });
}
if (!process.argv.includes('--quiet')) console.log(`built dist/kits/${id} in ${Date.now() - started} ms`);

/**
 * ZeroMQ's own loader looks for its binaries in `../build` of the file it is in. For each kind of host the one that was built for Node
 * 22: newer ones load it too, as its interface (Node-API) stays.
 */
function copyZeromq() {
  const from = path.join(root, 'node_modules', 'zeromq', 'build');
  const manifest = JSON.parse(readFileSync(path.join(from, 'manifest.json'), 'utf8'));
  const chosen = Object.entries(manifest).filter(([, file]) =>
    /^linux\/(x64|arm64)\/node\/glibc-127-Release\/addon\.node$/.test(file),
  );
  if (chosen.length !== 2) throw new Error(`zeromq has another set of binaries: ${Object.values(manifest).join(', ')}`);
  const to = path.join(fresh, 'build');
  for (const [, file] of chosen) cpSync(path.join(from, file), path.join(to, file));
  writeFileSync(path.join(to, 'manifest.json'), `${JSON.stringify(Object.fromEntries(chosen))}\n`);
}

function list(folder, below = '') {
  return readdirSync(path.join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const file = path.posix.join(below, entry.name);
    return entry.isDirectory() ? list(folder, file) : [file];
  });
}

function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

function readStamp() {
  const file = path.join(root, 'dist', '.built');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}
