import type { CrashVerdict } from './crash-verdict.ts';

/** Lines of the kernel's log that can explain why a worker ended. */
export const isTelling = (line: string): boolean =>
  /NVRM: (Xid|GPU)|Out of memory: Killed|oom-kill:|mlx5.*(error|fatal)/i.test(line);

/**
 * What NVIDIA's commonest Xid errors mean for whoever runs the machine.
 * https://docs.nvidia.com/deploy/xid-errors/index.html
 */
const XIDS: Readonly<Record<number, CrashVerdict>> = {
  13: {
    cause: 'GPU fault Xid 13: a kernel accessed memory out of bounds',
    fix: 'Usually a bug of the engine: try another attention backend or version.',
  },
  31: {
    cause: 'GPU fault Xid 31: a page fault of the GPU',
    fix: 'Usually a bug of the engine: try another attention backend or version.',
  },
  48: {
    cause: 'GPU fault Xid 48: memory error that could not be corrected',
    fix: 'Reset the GPU; if it comes back, the board wants replacing.',
  },
  63: { cause: 'GPU fault Xid 63: a memory row was remapped', fix: 'Reset the GPU before it is used again.' },
  64: { cause: 'GPU fault Xid 64: a memory row could not be remapped', fix: 'The board wants replacing.' },
  74: {
    cause: 'GPU fault Xid 74: an NVLink error',
    fix: 'Look at `nvidia-smi nvlink --status`; reset the GPU or the host.',
  },
  79: {
    cause: 'GPU fault Xid 79: the GPU has fallen off the bus',
    fix: 'Power-cycle the host; look at power and seating of the board.',
  },
  94: {
    cause: 'GPU fault Xid 94: a contained memory error',
    fix: 'Restarting the worker is enough; watch whether it comes back.',
  },
  95: {
    cause: 'GPU fault Xid 95: a memory error that was not contained',
    fix: 'Reset the GPU before it is used again.',
  },
  119: {
    cause: 'GPU fault Xid 119: the GPU system processor did not answer',
    fix: 'Reset the GPU; a newer driver often mends it.',
  },
};

/** The cause that lines of the kernel's log tell of; undefined when they do not. `pid`: of the process that ended. */
export function explainKernelLines(lines: readonly string[], pid: number | null): CrashVerdict | undefined {
  for (const line of lines.toReversed()) {
    const killed = /Out of memory: Killed process (\d+)/.exec(line) ?? /oom-kill:.*\bpid=(\d+)/.exec(line);
    if (killed && pid !== null && Number(killed[1]) === pid) {
      return {
        cause: 'the kernel killed it: the host (or its cgroup) was out of memory',
        fix: 'Give it less host memory (kvOffload, pinned buffers, workers on this host), or the host more.',
      };
    }
    const xid = /NVRM: Xid \([^)]*\): (\d+)/.exec(line)?.[1];
    if (xid)
      return (
        XIDS[Number(xid)] ?? {
          cause: `GPU fault Xid ${xid}`,
          fix: 'https://docs.nvidia.com/deploy/xid-errors/ says what it means.',
        }
      );
  }
  return undefined;
}
