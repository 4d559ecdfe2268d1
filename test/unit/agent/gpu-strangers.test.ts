import { describe, expect, it } from 'vitest';
import { refuseGpuStrangers, type Standing, standingOf } from '../../../src/agent/gpu-strangers.ts';
import type { GpuProcess } from '../../../src/hosts/gpu-processes.ts';

const on = (gpu: number, pid: number): GpuProcess => ({ gpu, pid, memoryBytes: 2 * 1024 ** 3, command: 'python3' });
/** No process has a pid beyond the kernel's limit. */
const NOBODY = 2 ** 30;

/** Looks that each take half a second of a clock of their own; the last one stays. */
function watch(looks: readonly (readonly (readonly [GpuProcess, Standing])[])[], host = 'local') {
  let count = 0;
  const notes: string[] = [];
  const standing = new Map<number, Standing>();
  const done = refuseGpuStrangers({
    host,
    look: async () => {
      const found = looks[Math.min(count, looks.length - 1)]!;
      count += 1;
      for (const [process, how] of found) standing.set(process.pid, how);
      return found.map(([process]) => process);
    },
    judge: ({ pid }) => standing.get(pid)!,
    note: (message) => notes.push(message),
    signal: new AbortController().signal,
    now: () => count * 500,
    pauseMs: 0,
  });
  return { done, notes, looks: () => count };
}

describe('a GPU right before its engine is launched', () => {
  it('is looked at once when nobody is there, or only our own', async () => {
    for (const found of [[], [[on(0, NOBODY), 'own'] as const]]) {
      const { done, looks } = watch([found]);
      await done;
      expect(looks()).toBe(1);
    }
  });

  it('is refused when a stranger is there and stays, with who it is', async () => {
    const { done, looks } = watch([[[on(1, NOBODY), 'stranger']]], 'gpu-2');
    await expect(done).rejects.toMatchObject({
      code: 'GPU_UNAVAILABLE',
      message: `GPU 1 of gpu-2 is used by pid ${NOBODY}: python3`,
      details: [`GPU 1 of gpu-2: pid ${NOBODY}: python3, 2.0 GiB`],
      hint: expect.stringContaining('--wait'),
    });
    expect(looks()).toBe(3);
  });

  it('is not refused for one that ends, however slowly, and says that it waits', async () => {
    const ending = [[on(0, NOBODY), 'ending']] as const;
    const { done, notes, looks } = watch([...Array.from({ length: 30 }, () => ending), []]);
    await done;
    expect(looks()).toBe(31);
    expect(notes).toEqual([`waiting for GPU 0: pid ${NOBODY} is ending`]);
  });

  it('is refused when what should be ending stays for good', async () => {
    const { done, looks } = watch([[[on(0, NOBODY), 'ending']]]);
    await expect(done).rejects.toThrow('which is ending but does not let go');
    expect(looks()).toBe(41);
  });

  it('is not refused for one that nvidia-smi listed as it ended', async () => {
    const { done } = watch([[[on(0, NOBODY), 'unseen']], []]);
    await done;
  });

  it('is refused for one of another container that stays', async () => {
    const { done } = watch([[[on(0, NOBODY), 'unseen']]]);
    await expect(done).rejects.toThrow('cannot be seen from here');
  });
});

describe('who a process on a GPU is', () => {
  const own = { runIds: new Set(['run-1']), usesGpu: () => false };

  it('a stranger, when it carries no run of ours', () => {
    expect(standingOf(on(0, process.pid), own)).toBe('stranger');
  });

  it('not known, when it is not in our table of processes; ours, when one of ours is on that GPU', () => {
    expect(standingOf(on(0, NOBODY), own)).toBe('unseen');
    expect(standingOf(on(0, NOBODY), { ...own, usesGpu: (gpu) => gpu === 0 })).toBe('own');
  });
});
