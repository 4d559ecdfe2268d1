// Prepares what test/engines/llamacpp.test.ts runs: a real llama-server and a tiny model. Seconds and 50 MiB once.
// The server comes from Debian's packages, unpacked into a folder with the libraries it was built with; nothing is installed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeGguf } from './make-gguf.mjs';
import { requireDisk, requireMemory } from './requirements.mjs';

const MEMORY_BYTES = 2 ** 30;
const DISK_BYTES = 2 ** 30;

/** The release that is to follow the stable one: the first that has llama.cpp. */
const SUITE = 'forky';
/** What the tests were written for. That release moves on: another build is said and not tested, until somebody has tried it. */
const BUILD = '11669';
const ARCHIVE = 'http://deb.debian.org/debian';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const PACKAGES = [
  ...['llama.cpp-tools', 'libllama0', 'libggml0', 'libc6', 'libstdc++6', 'libgcc-s1', 'libgomp1'],
  ...['libssl3t64', 'zlib1g', 'libzstd1'],
];
const here = import.meta.dirname;

/** Where it lives: outside the checkout, shared by all of them. */
export function llamacppFolder(env = process.env) {
  if (env.DYNAMO_TEST_LLAMACPP) return path.resolve(env.DYNAMO_TEST_LLAMACPP);
  const cache = env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return path.join(cache, 'dynamo-test', `llamacpp-${SUITE}`);
}

/**
 * Makes the folder complete, `llama-server` and `tiny.gguf`, within the time that `msLeft` says is left, and sees that it runs.
 * Throws with one line that says what is missing when it cannot.
 */
export function prepareLlamacpp(folder, say, msLeft) {
  requireMemory(MEMORY_BYTES);
  const stamp = path.join(folder, 'prepared');
  const isStamped = existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();
  if (!isStamped || askVersion(folder, msLeft).status !== 0) install(folder, stamp, say, msLeft);
  const { status, said } = askVersion(folder, msLeft);
  if (status !== 0) throw new Error(`llama-server --version ends with ${status}: ${said}`);
  if (!said.includes(`build ${BUILD}`))
    throw new Error(`its tests are for build ${BUILD}, Debian ${SUITE} has ${said}`);
}

function install(folder, stamp, say, msLeft) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`llama.cpp is unpacked on linux x64 only, this is ${process.platform} ${process.arch}`);
  for (const [file, owner] of [
    ['/usr/bin/apt-get', 'apt'],
    ['/usr/bin/dpkg-deb', 'dpkg'],
    [KEYRING, 'debian-archive-keyring'],
  ])
    if (!existsSync(file))
      throw new Error(`${file} is missing: only machines with Debian's ${owner} can unpack llama.cpp`);
  say(`unpacking llama.cpp of Debian ${SUITE} into ${folder}: once, 60 MiB to download`);
  requireDisk(folder, DISK_BYTES);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  unpack(folder, msLeft);
  makeGguf(path.join(folder, 'tiny.gguf'));
  writeFileSync(stamp, fingerprint());
}

function askVersion(folder, msLeft) {
  const options = { encoding: 'utf8', timeout: msLeft(), killSignal: 'SIGKILL' };
  const asked = spawnSync(path.join(folder, 'llama-server'), ['--version'], options);
  // It answers on standard error.
  const [said] = `${asked.error?.message ?? ''}${asked.stdout ?? ''}${asked.stderr ?? ''}`.trim().split('\n');
  return { status: asked.status ?? asked.signal, said };
}

function fingerprint() {
  const hash = createHash('sha256').update([SUITE, ...PACKAGES].join('\n'));
  return hash.update(readFileSync(path.join(here, 'make-gguf.mjs'))).digest('hex');
}

function unpack(folder, msLeft) {
  const debs = path.join(folder, 'debs');
  download(debs, path.join(folder, 'apt'), msLeft);
  const root = path.join(folder, 'root');
  for (const name of readdirSync(debs).filter((file) => file.endsWith('.deb')))
    run('dpkg-deb', ['--extract', path.join(debs, name), root], msLeft);
  rmSync(debs, { recursive: true });
  const libraries = path.join(root, 'usr/lib/x86_64-linux-gnu');
  // ggml looks for its CPU variants beside the running program, which is the loader here.
  const variants = path.join(libraries, 'ggml/backends0');
  for (const name of readdirSync(variants)) symlinkSync(path.join(variants, name), path.join(libraries, name));
  const loader = path.join(libraries, 'ld-linux-x86-64.so.2');
  const server = path.join(folder, 'llama-server');
  const libraryPath = `${libraries}:${path.join(libraries, 'llama')}`;
  writeFileSync(server, `#!/bin/sh\nexec ${loader} --library-path ${libraryPath} ${root}/usr/bin/llama-server "$@"\n`);
  chmodSync(server, 0o755);
}

/** apt with lists and a status of its own: the machine's packages are neither looked at nor changed. */
function download(debs, apt, msLeft) {
  mkdirSync(path.join(debs, 'partial'), { recursive: true });
  mkdirSync(path.join(apt, 'lists/partial'), { recursive: true });
  const sources = path.join(apt, 'sources.list');
  writeFileSync(sources, `deb [signed-by=${KEYRING}] ${ARCHIVE} ${SUITE} main\n`);
  writeFileSync(path.join(apt, 'status'), '');
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': path.join(apt, 'lists'),
    'Dir::State::status': path.join(apt, 'status'),
    'Dir::Cache': apt,
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '20',
    'Acquire::Retries': '1',
    'APT::Sandbox::User': '',
    'APT::Get::List-Cleanup': '0',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  run('apt-get', [...options, '-qq', 'update'], msLeft);
  run('apt-get', [...options, '-qq', 'download', ...PACKAGES], msLeft, debs);
  rmSync(apt, { recursive: true });
}

function run(command, args, msLeft, cwd) {
  try {
    // Progress and warnings are for those who watch; results go to files.
    execFileSync(command, args, {
      stdio: ['ignore', 2, 2],
      timeout: msLeft(),
      killSignal: 'SIGKILL',
      ...(cwd ? { cwd } : {}),
    });
  } catch (error) {
    throw new Error(`${path.basename(command)} failed: ${error.message.split('\n', 1)[0]}`, { cause: error });
  }
}
