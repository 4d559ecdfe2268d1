import { describe, expect, it } from 'vitest';
import { type CrashFacts, judgeCrash, renderCrashReport } from '../../../../src/agent/crash/crash-report.ts';
import { explainKernelLines, isTelling } from '../../../../src/agent/crash/kernel-lines.ts';
import { trivialProcess } from '../../../helpers/trivial-plan.ts';

const GIB = 1024 ** 3;

function crash(overrides: Partial<CrashFacts> = {}): CrashFacts {
  return {
    spec: trivialProcess('decode-0', { engine: 'vllm', model: 'tiny', gpus: [0] }),
    incarnation: 2,
    at: '2026-01-31T12:00:00.000Z',
    pid: 4711,
    code: 1,
    signal: null,
    how: 'exit status 1',
    killedBecause: null,
    readyForMs: null,
    wasDoing: 'GET /health, loading weights',
    lastLines: [],
    logFile: '/state/logs/decode-0.log',
    peers: [],
    gpus: [{ index: 0, uuid: '', name: 'NVIDIA H100', memoryBytes: 80 * GIB, memoryUsedBytes: GIB }],
    kernelLines: [],
    ...overrides,
  };
}

describe('the cause of a crash', () => {
  const outOfMemory = 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB';
  const killed = '2026-01-31T12:00:00,1 Out of memory: Killed process 4711 (VLLM::EngineCor) total-vm:1kB';
  const xid = '2026-01-31T11:59:59,9 NVRM: Xid (PCI:0000:1b:00): 79, pid=4711, GPU has fallen off the bus.';
  const peer = { name: 'prefill-0', state: 'backoff', pair: 'proven', ended: 'killed by SIGKILL' };

  it('is what the process said, before anything else', () => {
    const { cause, fix } = judgeCrash(crash({ lastLines: [outOfMemory, 'more'], kernelLines: [xid], peers: [peer] }));
    expect(cause).toContain('memory');
    expect(fix).not.toBeNull();
  });

  it('is what the kernel said, of this process or of a GPU', () => {
    expect(judgeCrash(crash({ signal: 'SIGKILL', kernelLines: [killed] })).cause).toContain('out of memory');
    expect(judgeCrash(crash({ pid: 1, signal: 'SIGSEGV', kernelLines: [killed] })).cause).not.toContain('memory');
    expect(judgeCrash(crash({ kernelLines: [xid] })).cause).toContain('fallen off the bus');
    expect(explainKernelLines(['x NVRM: Xid (PCI:0): 999, foo'], null)?.cause).toContain('Xid 999');
    expect(explainKernelLines(['usb 1-1: new device'], 1)).toBeUndefined();
  });

  it('is what dynamo did, what happened to a peer, or how it ended', () => {
    expect(judgeCrash(crash({ killedBecause: '3 checks in a row failed', peers: [peer] })).cause).toContain(
      'dynamo ended it',
    );
    expect(judgeCrash(crash({ peers: [peer] }))).toEqual({
      cause: 'its peer prefill-0 had ended (killed by SIGKILL)',
      fix: 'Look at prefill-0 first.',
    });
    expect(judgeCrash(crash({ signal: 'SIGKILL' })).cause).toContain('outside dynamo');
    expect(judgeCrash(crash())).toEqual({ cause: 'exit status 1', fix: null });
  });

  it('takes from the kernel what can explain it, and nothing else', () => {
    expect([killed, xid].every(isTelling)).toBe(true);
    expect(isTelling('eth0: link up')).toBe(false);
  });
});

it('is one page for the person who is called at night', () => {
  const page = renderCrashReport(
    crash({
      signal: 'SIGKILL',
      how: 'killed by SIGKILL',
      readyForMs: 3_600_000,
      peers: [{ name: 'prefill-0', state: 'ready', pair: 'proven', ended: null }],
      lastLines: ['INFO one', 'INFO two'],
    }),
  );
  expect(page).toMatchInlineSnapshot(`
    "decode-0 on local ended unasked
      at           2026-01-31T12:00:00.000Z
      cause        something outside dynamo killed it; nearly always that is the kernel, out of memory
      next step    Look for \`Out of memory\` in the kernel's log (\`dmesg -T\`), and give it less: --gpu-memory-utilization does not count host memory, offloading and pinned buffers do.
      ended        killed by SIGKILL
      was          ready for 1 h 00 min
      engine       vllm, tiny, aggregated
      incarnation  2, pid 4711
      GPU 0        NVIDIA H100, 1.0 GiB of 80 GiB in use after it ended
      peer         prefill-0: ready, pair proven
      log          /state/logs/decode-0.log
      command      /bin/sh -c setsid sleep 600 & exec sleep 600

    Its last lines:
      INFO one
      INFO two
    "
  `);
  expect(renderCrashReport(crash({ gpus: null }))).toContain('unknown: nvidia-smi did not answer');
  expect(renderCrashReport(crash({ gpus: [] }))).toContain('GONE: nvidia-smi no longer lists it');
  expect(renderCrashReport(crash())).toContain('It printed nothing.');
});
