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
import { tmpDir } from '../../helpers/tmp-dir.ts';

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
  it('tells what node knows too, in facts that can be recorded', async () => {
    const facts = await collectFacts(new LocalTransport(), LOCAL_HOST, { commands: ['sh', 'no-such-program'] });
    expect(hostFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
    expect(facts).toMatchObject({
      name: 'local',
      platform: 'linux',
      arch: process.arch,
      cpus: os.availableParallelism(),
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
