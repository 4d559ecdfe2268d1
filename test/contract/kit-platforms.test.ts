import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { createGunzip } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { findKit } from '../../src/hosts/kit/find-kit.ts';
import { findNodeRuntime } from '../../src/hosts/kit/node-runtime.ts';
import { freePort } from '../helpers/free-port.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { waitFor } from '../helpers/until.ts';

/** `e_machine` of an ELF header, by what Node calls the processor. */
const MACHINES = { x64: 0x3e, arm64: 0xb7 };
type Arch = keyof typeof MACHINES;
const ARCHS = Object.keys(MACHINES) as Arch[];

/** Processor that a program or library of Linux is made for. */
function archOf(head: Buffer): Arch | undefined {
  if (head.toString('latin1', 0, 4) !== '\u007fELF') return undefined;
  return ARCHS.find((arch) => MACHINES[arch] === head.readUInt16LE(18));
}

/** Newest version of glibc that a library asks for: 28 for 2.28. */
function glibcOf(library: Buffer): number {
  return Math.max(...[...library.toString('latin1').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor)));
}

describe('the kit for hosts', () => {
  it('has every native part for x64 and arm64, made for glibc 2.28 or older, under a checksum', async () => {
    const { dir, files } = await findKit();
    const natives = files.filter((file) => file.endsWith('.node'));
    const sums = readFileSync(path.join(dir, 'SHA256SUMS'), 'utf8');
    const archs = natives.map((file) => {
      const library = readFileSync(path.join(dir, file));
      expect(glibcOf(library), file).toBeLessThanOrEqual(28);
      expect(sums).toContain(`  ${file}\n`);
      const arch = archOf(library);
      expect(file).toContain(`linux/${arch}/`);
      return arch;
    });
    expect(archs.toSorted()).toEqual(['arm64', 'x64']);
    const manifest = JSON.parse(readFileSync(path.join(dir, 'build', 'manifest.json'), 'utf8')) as Record<
      string,
      string
    >;
    expect(
      Object.values(manifest)
        .map((file) => `build/${file}`)
        .toSorted(),
    ).toEqual(natives.toSorted());
  });

  it('runs without node_modules, its native parts included: the simulated engine publishes KV events', async () => {
    const { dir } = await findKit();
    using tmp = tmpDir();
    const [http, events] = [await freePort(), await freePort()];
    const config = { enable_kv_cache_events: true, publisher: 'zmq', endpoint: `tcp://127.0.0.1:${events}` };
    const argv = [
      'mocker',
      '--model-name',
      'm',
      '--http-port',
      String(http),
      '--kv-events-config',
      JSON.stringify(config),
    ];
    const child: ChildProcess = spawn(process.execPath, [path.join(dir, 'dist', 'cli.js'), ...argv], { cwd: tmp.dir });
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk));
    const exit = once(child, 'exit');
    try {
      const healthy = () => fetch(`http://127.0.0.1:${http}/health`).then(({ status }) => status === 200 || undefined);
      await waitFor('the mocker of the kit', () => {
        if (child.exitCode !== null) throw new Error(output);
        return healthy().catch(() => undefined);
      });
    } finally {
      child.kill('SIGKILL');
      await exit;
    }
  });
});

describe.each(ARCHS)('Node for %s hosts', (arch) => {
  const name = `node-linux-${arch}`;

  it('is pinned by version and checksum, the same version for all', () => {
    const read = (file: string) => JSON.parse(readFileSync(path.join(packageRoot, 'bin', 'runtime', file), 'utf8'));
    const { optionalDependencies } = read('package.json') as { optionalDependencies: Record<string, string> };
    expect(new Set(Object.values(optionalDependencies)).size).toBe(1);
    const locked = (read('package-lock.json') as { packages: Record<string, object> }).packages[`node_modules/${name}`];
    expect(locked).toMatchObject({ version: optionalDependencies[name], cpu: arch, os: 'linux' });
    expect(locked).toHaveProperty('integrity', expect.stringMatching(/^sha512-/));
  });

  it.skipIf(!canFetch(name))('is a program for that processor when it has been fetched', async () => {
    const { id, file } = await findNodeRuntime({ arch });
    expect(id).toMatch(new RegExp(`^${name}-\\d+\\.\\d+\\.\\d+$`));
    const stream = createReadStream(file).pipe(createGunzip());
    const [head] = (await once(stream, 'data')) as [Buffer];
    stream.destroy();
    expect(archOf(head)).toBe(arch);
  });
});

/** Whether npm finds the package, so that what is skipped here is not passed over in silence. */
function canFetch(name: string): boolean {
  const { status } = spawnSync('npm', ['view', name, 'version'], { stdio: 'ignore', timeout: 60_000 });
  if (status !== 0) console.warn(`fetching ${name} is not tested: npm does not find it from here`);
  return status === 0;
}
