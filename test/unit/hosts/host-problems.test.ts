import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseFacts } from '../../../src/hosts/facts/parse-facts.ts';
import { readSections } from '../../../src/hosts/facts/sections.ts';
import type { HostEntry } from '../../../src/hosts/host-entry.ts';
import type { HostFacts } from '../../../src/hosts/host-facts.ts';
import { hostProblems } from '../../../src/hosts/host-problems.ts';

function host(fixture: string, over: Partial<HostEntry> = {}, facts: Partial<HostFacts> = {}) {
  const entry: HostEntry = { name: 'a', address: 'a', local: false, labels: {}, env: {}, ...over };
  const text = readFileSync(path.resolve(import.meta.dirname, `../../fixtures/probe/${fixture}.txt`), 'utf8');
  const read = parseFacts(readSections(text), entry, { sentAt: 1_760_000_000_480, receivedAt: 1_760_000_002_130 });
  return { entry, facts: { ...read, ...facts } };
}
const said = (...hosts: ReturnType<typeof host>[]) =>
  hostProblems(hosts).map(({ severity, hosts: names, message }) => `${severity} ${names.join('+')}: ${message}`);

describe('hostProblems', () => {
  it('finds nothing wrong with a good host', () => {
    const good = host('8xh100-nvswitch', {}, { gpuUsers: [], limits: { openFiles: 1024, lockedMemoryBytes: null } });
    expect(said(good)).toEqual([]);
  });

  it('tells strangers on GPUs, and limits that RDMA will meet', () => {
    expect(said(host('8xh100-nvswitch'))).toEqual([
      'warning a: GPU 6 is used by grace: pid 41234, /opt/conda/bin/python, 70 GiB',
      'warning a: processes may lock 8.0 MiB of memory only; KV transfer over RDMA registers the whole cache',
    ]);
    // A GPU that is not ours to use may be used by anybody.
    expect(said(host('8xh100-nvswitch', { gpus: [0, 1] }))).toHaveLength(1);
  });

  it('tells links without a subnet manager and a disk that is almost full', () => {
    expect(said(host('4xa100-pairs'))).toEqual(['warning a: mlx5_1: the link is up but has no address yet (init)']);
    const full = host(
      '4xa100-pairs',
      {},
      { freeDisk: { '/root': 1024 ** 2, '/tmp': 1024 ** 2, '/dev/shm': 64 * 1024 ** 2 } },
    );
    expect(said(full).slice(0, 3)).toEqual([
      'error a: its home folder /root has 1.0 MiB free; kit and logs need 500 MiB',
      'warning a: /tmp has 1.0 MiB free; engines write there',
      'warning a: /dev/shm has 64 MiB free; engines with several GPUs pass data through it',
    ]);
    const elsewhere = { entry: { ...full.entry, stateDir: '/scratch/s', kitDir: '/scratch/k' }, facts: full.facts };
    expect(said(elsewhere)).not.toContainEqual(expect.stringContaining('home folder'));
  });

  it.each<[Partial<HostFacts>, string]>([
    [{ platform: 'darwin' }, 'it runs darwin; dynamo supervises processes on Linux only'],
    [{ glibc: '2.17' }, 'its glibc is 2.17; the kit needs glibc 2.28 or newer'],
    [{ glibc: null }, 'it has no glibc; the kit needs glibc 2.28 or newer'],
    [{ arch: 'ppc64le' }, 'its processor is ppc64le; the kit runs on x64 and arm64'],
    [{ gpuProblem: 'nvidia-smi failed with status 18: mismatch' }, 'nvidia-smi failed with status 18: mismatch'],
  ])('forbids the use of a host: %j', (facts, message) => {
    expect(said(host('no-gpu', {}, facts))).toEqual([`error a: ${message}`]);
  });

  it('compares the hosts file with what is there', () => {
    const wrong = host('8xh100-nvswitch', { gpus: [7, 8, 9], nics: ['mlx5_0', 'mlx9_9'] });
    expect(said(wrong).slice(0, 2)).toEqual([
      'error a: the hosts file allows GPU 8, 9, and nvidia-smi lists no such',
      'warning a: the hosts file allows mlx9_9, which it does not have',
    ]);
    expect(said(host('no-gpu', { dataAddress: '10.1.1.1' }))).toEqual([
      'error a: `dataAddress` is 10.1.1.1, which none of its interfaces has; it has 192.0.2.2, fd00::2',
    ]);
    expect(said(host('no-gpu', { dataAddress: 'fd00::2' }))).toEqual([]);
  });

  it('minds a clock only when it is surely off', () => {
    const clock = (clockSkewMs: number, clockUncertaintyMs: number) =>
      said(host('no-gpu', {}, { clockSkewMs, clockUncertaintyMs }));
    expect(clock(-90_000, 20)).toEqual([
      'warning a: its clock is 1 min 30 s behind: nothing depends on it, but times in its logs will not fit',
    ]);
    expect(clock(1_500, 1_000)).toEqual([]);
    expect(clock(900, 1)).toEqual([]);
  });

  it('compares hosts with each other', () => {
    const a = host('8xh100-nvswitch', { name: 'a' }, { gpuUsers: [], rdma: [] });
    const b = host(
      '8xh100-nvswitch',
      { name: 'b' },
      { gpuUsers: [], rdma: [], engines: { vllm: { path: '/v', version: '0.12.0', packages: {} } } },
    );
    expect(said(a, b)).toEqual([
      'error a+b: a and b are the same machine: one boot, one name (hgx-07)',
      'warning a+b: vllm is 0.13.0 on a, 0.12.0 on b',
    ]);
    const unknown = { ...b, facts: { ...b.facts, bootId: null, engines: {} } };
    expect(said(a, unknown)).toEqual([]);
  });
});
