import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.ts';
import { type GpuUse, watchGpus } from '../../../src/hosts/gpu-use.ts';
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
const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
const pids = (log: string) =>
  existsSync(log)
    ? readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => Number(line.split(' ')[1]))
    : [];

describe('watchGpus', () => {
  it('tells of all GPUs round after round, and leaves no child when it ends', async () => {
    using tmp = tmpDir();
    const log = path.join(tmp.dir, 'log');
    setEnv({ FAKE_SMI_LOG: log });
    const { rounds, done, stop } = watch();
    await waitFor('two rounds', () => rounds.length > 1);
    expect(rounds[0]).toEqual([
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
    expect(rounds).toContainEqual([]);
    expect(rounds.some((gpus) => gpus.length === 2)).toBe(true);
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
