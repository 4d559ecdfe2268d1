import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import { collectFacts } from '../../../src/hosts/facts/collect-facts.ts';
import { FactsCache } from '../../../src/hosts/facts/facts-cache.ts';
import { type HostEntry, LOCAL_HOST } from '../../../src/hosts/host-entry.ts';
import { hostFactsSchema } from '../../../src/hosts/host-facts.ts';
import { inspectHosts } from '../../../src/hosts/inspect-hosts.ts';
import { LocalTransport } from '../../../src/hosts/local-transport.ts';
import { readStat } from '../../../src/supervise/identity.ts';
import { tryLock } from '../../../src/supervise/locks.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

const linux = process.platform === 'linux';
const gpus = path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus');
const withPath = (...folders: string[]): HostEntry => ({
  ...LOCAL_HOST,
  env: { PATH: [...folders, process.env['PATH']].join(':') },
});

/** A Python environment as pip leaves it: a script, and folders that name versions. */
function environment(root: string, packages: readonly string[]): string {
  const site = path.join(root, 'lib', 'python3.12', 'site-packages');
  for (const name of packages) mkdirSync(path.join(site, `${name}.dist-info`), { recursive: true });
  mkdirSync(path.join(root, 'bin'), { recursive: true });
  const program = path.join(root, 'bin', 'vllm');
  writeFileSync(program, `#!${root}/bin/python3\nraise SystemExit("must not be run")\n`);
  chmodSync(program, 0o755);
  return path.join(root, 'bin');
}

describe.runIf(linux)('the probe on this machine', () => {
  it('tells who computes on the GPUs and who holds their locks; those that are ending do not count', async () => {
    using tmp = tmpDir();
    const gone = spawnSync('true').pid;
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
    const ours = spawn('sh', ['-c', 'env -u DYNAMO_RUN_ID sleep 600 & echo $!; wait'], {
      ...{ detached: true, env: { ...process.env, DYNAMO_RUN_ID: 'run' }, stdio: ['ignore', 'pipe', 'ignore'] },
    });
    // A shell that never looks after its child leaves a zombie.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const firstLine = async (child: typeof parent) => Number(String((await once(child.stdout!, 'data'))[0]));
    const [titled, zombie] = [await firstLine(ours), await firstLine(parent)];
    await waitFor('a zombie', () => readStat(zombie)?.state === 'Z');
    const uuid = 'GPU-00000001-aaaa-bbbb-cccc-dddddddddddd';
    const apps = path.join(tmp.dir, 'apps');
    writeFileSync(apps, [stranger.pid, titled, zombie, gone].map((pid) => `${uuid}, ${pid}, 7, python3\n`).join(''));
    mkdirSync(path.join(tmp.dir, 'dynamo'));
    const locks = [0, 1].map((gpu) => path.join(tmp.dir, 'dynamo', `gpu-${gpu}.lock`));
    const lock = tryLock(locks[0]!, { holder: 'demo (prefill-0)', hostWide: true });
    writeFileSync(locks[1]!, 'of before\n');
    try {
      const entry = withPath(gpus);
      const env = { ...entry.env, FAKE_SMI_APPS: apps, DYNAMO_LOCK_DIR: tmp.dir };
      const facts = await collectFacts(new LocalTransport(), { ...entry, env });
      const user = { gpu: 1, user: os.userInfo().username, memoryBytes: 7 * 1024 ** 2, command: 'python3' };
      expect(facts.gpuUsers).toEqual([
        { ...user, pid: stranger.pid, ours: false },
        { ...user, pid: titled, ours: true },
        { ...user, pid: gone, user: null, ours: false },
      ]);
      expect(facts.gpuLocks).toEqual([{ gpu: 0, holder: 'demo (prefill-0)' }]);
    } finally {
      lock?.release();
      stranger.kill('SIGKILL');
      parent.kill('SIGKILL');
      process.kill(-ours.pid!, 'SIGKILL');
    }
  });

  it('tells what node knows too, in facts that can be recorded', async () => {
    const facts = await collectFacts(new LocalTransport(), LOCAL_HOST, { commands: ['sh', 'no-such-program'] });
    expect(hostFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
    expect(facts).toMatchObject({
      name: 'local',
      platform: 'linux',
      arch: process.arch,
      cpus: Number(execFileSync('nproc')),
      memoryBytes: os.totalmem(),
      home: process.env['HOME'] ?? os.homedir(),
      user: os.userInfo().username,
      hostname: os.hostname(),
      commands: { sh: expect.stringMatching(/\/sh$/), 'no-such-program': null },
      bootId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    // One clock: what is not the way there and back is nothing.
    expect(Math.abs(facts.clockSkewMs!)).toBeLessThanOrEqual(facts.clockUncertaintyMs!);
    expect(facts.freeDisk?.['/tmp']).toBeGreaterThan(0);
  });

  it('reads versions of engines without running them', async () => {
    using tmp = tmpDir();
    const bin = environment(path.join(tmp.dir, 'venv'), ['vllm-0.13.0', 'torch-2.9.0', 'nixl_cu12-0.7.1', 'other-1.0']);
    const facts = await collectFacts(new LocalTransport(), withPath(bin));
    expect(facts.engines).toEqual({
      vllm: { path: path.join(bin, 'vllm'), version: '0.13.0', packages: { torch: '2.9.0', nixl_cu12: '0.7.1' } },
    });
  });

  it('asks for the topology of GPUs once a boot', async () => {
    using tmp = tmpDir();
    const cache = new FactsCache(path.join(tmp.dir, 'hosts'));
    const entry = withPath(gpus);
    const open = async () => new LocalTransport();
    const [first] = await inspectHosts([entry], { open, cache });
    expect(first?.facts).toMatchObject({
      driver: '580.65.06',
      nvlink: [
        [0, 18],
        [18, 0],
      ],
      address: '127.0.0.1',
    });
    expect(first?.facts?.gpuUsers).toMatchObject([{ gpu: 1, pid: 1, ours: false }]);
    // The second time an nvidia-smi answers that knows no `topo`.
    writeFileSync(
      path.join(tmp.dir, 'nvidia-smi'),
      `#!/bin/sh\n[ "$1" = topo ] && exit 1\nexec ${gpus}/nvidia-smi "$@"\n`,
    );
    chmodSync(path.join(tmp.dir, 'nvidia-smi'), 0o755);
    const [second] = await inspectHosts([withPath(tmp.dir)], { open, cache });
    expect(second?.facts?.nvlink).toEqual([
      [0, 18],
      [18, 0],
    ]);
    const [elsewhere] = await inspectHosts([{ ...withPath(tmp.dir), address: 'other' }], { open, cache });
    expect(elsewhere?.facts).not.toHaveProperty('nvlink');
  });

  it('says what is wrong with a driver, and with a shell that is none', async () => {
    using tmp = tmpDir();
    writeFileSync(
      path.join(tmp.dir, 'nvidia-smi'),
      '#!/bin/sh\necho "Failed to initialize NVML: Unknown Error"\nexit 255\n',
    );
    chmodSync(path.join(tmp.dir, 'nvidia-smi'), 0o755);
    expect(await collectFacts(new LocalTransport(), withPath(tmp.dir))).toMatchObject({
      gpus: [],
      gpuProblem: 'nvidia-smi failed with status 255: Failed to initialize NVML: Unknown Error',
    });
    writeFileSync(path.join(tmp.dir, 'sh'), '#!/bin/true\n');
    chmodSync(path.join(tmp.dir, 'sh'), 0o755);
    class Broken extends LocalTransport {
      override exec(_: readonly string[], options?: Parameters<LocalTransport['exec']>[1]) {
        return super.exec([path.join(tmp.dir, 'sh')], options);
      }
    }
    await expect(collectFacts(new Broken('gpu-a'), { ...LOCAL_HOST, name: 'gpu-a' })).rejects.toMatchObject({
      code: 'HOST_UNREACHABLE',
      message: expect.stringContaining('gpu-a can be reached, but cannot be asked what it has'),
    });
  });

  it('reports each host that cannot be reached, and keeps nothing of a damaged cache', async () => {
    using tmp = tmpDir();
    const folder = path.join(tmp.dir, 'hosts');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'local.json'), '{"address": "local", "facts": {"gpus": 7}}');
    const cache = new FactsCache(folder);
    expect(cache.read(LOCAL_HOST)).toBeUndefined();
    const bad = { ...LOCAL_HOST, name: 'bad' };
    const reports = await inspectHosts([bad, LOCAL_HOST], {
      cache,
      open: async (entry) => {
        if (entry.name === 'bad') throw new Error('no route');
        return new LocalTransport();
      },
    });
    expect(reports).toMatchObject([
      { facts: null, error: { code: 'HOST_UNREACHABLE', message: 'bad: no route' } },
      { facts: { name: 'local' }, error: null },
    ]);
    expect(cache.read(LOCAL_HOST)).toMatchObject({ name: 'local' });
    expect(new FactsCache('/proc/nowhere').read(LOCAL_HOST)).toBeUndefined();
  });
});
