import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import { type GpuUse, watchGpus } from '../../../src/hosts/gpu-use.ts';
import { readStat } from '../../../src/supervise/identity.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';
import { waitFor } from '../../helpers/until.ts';

const fake = path.join(packageRoot, 'test', 'fixtures', 'bin', 'two-gpus', 'nvidia-smi');
const backoff = { initialMs: 50, maxMs: 100, factor: 2 };

/** Sets variables of this process, which the child inherits, for one test. */
function setEnv(change: Record<string, string>): void {
  for (const [name, value] of Object.entries(change)) {
    process.env[name] = value;
    onTestFinished(() => void delete process.env[name]);
  }
}

function watch(options: { program?: string; silenceMs?: number } = {}) {
  const ended = new AbortController();
  onTestFinished(() => ended.abort());
  const rounds: GpuUse[][] = [];
  const done = watchGpus({
    program: fake,
    backoff,
    random: () => 0.5,
    signal: ended.signal,
    onUse: (gpus) => rounds.push(gpus),
    ...options,
  });
  return { rounds, done, stop: () => ended.abort() };
}
const isAlive = (pid: number) => !['Z', 'X', undefined].includes(readStat(pid)?.state);
const pids = (log: string) =>
  existsSync(log)
    ? readFileSync(log, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line.split(' ')[1]))
    : [];

describe('watchGpus', () => {
  it('tells of all GPUs round after round, and leaves no child when it ends', async () => {
    using tmp = tmpDir();
    const log = path.join(tmp.dir, 'log');
    setEnv({ FAKE_SMI_LOG: log });
    const { rounds, done, stop } = watch();
    await waitFor('two rounds', () => rounds.length > 1 && rounds.at(-1)?.length === 2);
    expect(rounds.at(-1)).toEqual([
      {
        index: 0,
        name: 'NVIDIA H100 80GB HBM3',
        utilisation: 90,
        memoryUsedBytes: 1000 * 1024 ** 2,
        memoryBytes: 81_559 * 1024 ** 2,
        powerW: 412.07,
        temperatureC: 60,
      },
      expect.objectContaining({ index: 1, utilisation: 91, powerW: 412.17 }),
    ]);
    stop();
    await done;
    await waitFor('the child is gone', () => !pids(log).some(isAlive));
    expect(pids(log)).toHaveLength(1);
  });

  it('knows nothing while nvidia-smi is down, and starts it again', async () => {
    using tmp = tmpDir();
    const log = path.join(tmp.dir, 'log');
    setEnv({ FAKE_SMI_LOG: log, FAKE_SMI_LINES: '2' });
    const { rounds, done, stop } = watch();
    await waitFor('a second start', () => pids(log).length > 1);
    await waitFor('both of them, and none', () =>
      [2, 0].every((count) => rounds.some((gpus) => gpus.length === count)),
    );
    stop();
    await done;
  });

  it('does not lose a GPU that is slow to tell; it does lose one that is gone', async () => {
    using tmp = tmpDir();
    const program = path.join(tmp.dir, 'nvidia-smi');
    const line = (index: number) => `echo '${index}, 90, 1000, 81559, 412.07, 60, NVIDIA H100'; sleep 0.4`;
    const second = `[ -e ${tmp.dir}/gone ] || { ${line(1)}; }`;
    writeFileSync(program, `#!/bin/sh\nwhile :; do ${line(0)}; ${second}; done\n`, { mode: 0o755 });
    const { rounds, done, stop } = watch({ program });
    const counts = () => rounds.map((gpus) => gpus.length);
    await waitFor('some rounds with both', () => counts().filter((count) => count === 2).length > 3);
    expect(counts().slice(counts().indexOf(2))).not.toContain(1);
    writeFileSync(path.join(tmp.dir, 'gone'), '');
    await waitFor(
      'one to be left',
      () =>
        rounds
          .at(-1)
          ?.map(({ index }) => index)
          .join() === '0',
    );
    stop();
    await done;
  });

  it('ends one that hangs in the driver', async () => {
    using tmp = tmpDir();
    const log = path.join(tmp.dir, 'log');
    const program = path.join(tmp.dir, 'nvidia-smi');
    writeFileSync(program, `#!/bin/sh\necho "loop $$" >> ${log}\nexec sleep 600\n`, { mode: 0o755 });
    const { done, stop } = watch({ program, silenceMs: 100 });
    await waitFor('a second start', () => pids(log).length > 1);
    await waitFor('the first is gone', () => !isAlive(pids(log)[0]!));
    stop();
    await done;
    await waitFor('none is left', () => !pids(log).some(isAlive));
  });

  it('does nothing where there is none, and tries again where it cannot be started', async () => {
    using tmp = tmpDir();
    const before = process.env['PATH'];
    onTestFinished(() => {
      process.env['PATH'] = before;
    });
    process.env['PATH'] = tmp.dir;
    const ended = new AbortController();
    const never = () => expect.unreachable();
    await watchGpus({ signal: ended.signal, onUse: never, random: () => 0.5 });
    process.env['PATH'] = before;
    const { rounds, done, stop } = watch({ program: path.join(tmp.dir, 'gone') });
    await waitFor('two tries', () => rounds.length > 1);
    expect(rounds.flat()).toEqual([]);
    stop();
    await done;
  });
});
