import { describe, expect, it } from 'vitest';
import { DynamoError } from '../../../src/base/errors.ts';
import { renderStatus } from '../../../src/commands/status-text.ts';
import { makeSnapshot } from '../../helpers/snapshots.ts';

const crash = {
  code: null,
  signal: 'SIGSEGV',
  at: '2026-01-01T01:00:00.000Z',
  reason: 'killed by SIGSEGV; restart 2 of 5',
  lastLines: ['one', 'two', 'three', 'Segmentation fault'],
  cause: 'killed by SIGSEGV',
  fix: null,
  report: '/state/crash-reports/decode-0.txt',
};

describe('renderStatus', () => {
  it('shows a deployment that is well on one short page', () => {
    expect(renderStatus(makeSnapshot())).toMatchInlineSnapshot(`
      "demo: ready
        model     tiny
        endpoint  http://127.0.0.1:8000/v1
        recipe    demo.yaml
        started   2026-01-01T00:00:00.000Z (generation 1, epoch 1)

      PROCESS    STATE  PID  PORT  RESTARTS  FOR
      prefill-0  ready  100  8101  0         1 min 01 s
      decode-0   ready  101  8201  0         1 min 01 s
      frontend   ready  102  8000  0         1 min 01 s

      KV transfer: 1 of 1 prefill × decode pairs proven
      "
    `);
  });

  it('shows how a process crashed, with its last lines, and what happens next', () => {
    const text = renderStatus(
      makeSnapshot(
        {
          'decode-0': { state: 'backoff', pid: null, restarts: 2, lastExit: crash, waitingFor: 'its restart in 4.0 s' },
        },
        { state: 'degraded' },
      ),
    );
    expect(text).toMatchInlineSnapshot(`
      "demo: degraded
        model     tiny
        endpoint  http://127.0.0.1:8000/v1
        recipe    demo.yaml
        started   2026-01-01T00:00:00.000Z (generation 1, epoch 1)

      PROCESS    STATE    PID  PORT  RESTARTS  FOR
      prefill-0  ready    100  8101  0         1 min 01 s
      decode-0   backoff  -    8201  2         1 min 01 s
      frontend   ready    102  8000  0         1 min 01 s

      KV transfer: 1 of 1 prefill × decode pairs proven
      decode-0 waits for its restart in 4.0 s
      decode-0 ended at 2026-01-01T01:00:00.000Z: killed by SIGSEGV; restart 2 of 5
          two
          three
          Segmentation fault
          report: /state/crash-reports/decode-0.txt
      "
    `);
  });

  it('does not repeat how a process ended that was meant to end', () => {
    expect(renderStatus(makeSnapshot({ 'decode-0': { state: 'exited', lastExit: crash } }))).not.toContain('SIGSEGV');
  });

  it('names a pair that moves no KV blocks', () => {
    const text = renderStatus(
      makeSnapshot(
        {},
        { pairs: [{ prefill: 'prefill-0', decode: 'decode-0', state: 'failed', detail: 'no KV block arrived' }] },
      ),
    );
    expect(text).toContain(
      'KV transfer: 0 of 1 prefill × decode pairs proven\n  prefill-0 → decode-0 failed: no KV block arrived\n',
    );
  });

  it('says that nobody attends it, and how to change that', () => {
    const text = renderStatus(makeSnapshot({}, { unattended: true, controller: null }));
    expect(text).toMatch(/^demo: ready \(unattended\)\n/);
    expect(text).toMatch(/No controller runs: .*dynamo serve demo\.yaml/);
  });

  it('says what a lost agent and one in doubt mean, but not of a deployment that is down', () => {
    const lost = { host: 'local', pid: null, state: 'lost' as const, storeProblem: null };
    expect(renderStatus(makeSnapshot({}, { agents: [lost] }))).toContain('No agent answers on local');
    expect(renderStatus(makeSnapshot({}, { agents: [{ ...lost, state: 'in-doubt' }] }))).toContain(
      'cannot read the commit record',
    );
    expect(renderStatus(makeSnapshot({}, { agents: [lost], state: 'stopped' }))).not.toContain('No agent');
    const ended = { ...lost, host: 'gpu-1', state: 'stopped' as const };
    const half = renderStatus(makeSnapshot({}, { agents: [ended, { ...lost, host: 'gpu-2' }], state: 'stopping' }));
    expect(half).toContain(
      'gpu-1 is stopped; nothing is left there.\nNo agent answers on gpu-2: what runs there goes on',
    );
    expect(half).not.toContain('No agent answers on gpu-1');
    const away = { ...lost, state: 'connected' as const, storeProblem: 'etcd at x cannot be used: connection refused' };
    expect(renderStatus(makeSnapshot({}, { agents: [away] }))).toContain(
      'The discovery store is away for local: etcd at x cannot be used: connection refused. Serving goes on',
    );
  });

  it('tells where the time of a long start went, and nothing of a short one', () => {
    const steps = (ms: number) => [
      { step: 'record', ms: 100, hosts: [] },
      {
        ...{ step: 'ready', ms },
        hosts: [
          { host: 'a', ms, parts: [] },
          { host: 'b', ms: 1, parts: [] },
        ],
      },
    ];
    expect(renderStatus(makeSnapshot({}, { startSteps: steps(60_000) }))).toContain(
      '\nThe start took 1 min 00 s: ready 1 min 00 s (a last), the rest 100 ms\n',
    );
    expect(renderStatus(makeSnapshot({}, { startSteps: steps(500) }))).not.toContain('The start took');
  });

  it('ends with the error and its hint when the start failed', () => {
    const error = new DynamoError('NOT_READY', 'decode-0 was not ready', {
      hint: 'Wait.',
      details: ['loading'],
    }).toJSON();
    const text = renderStatus(makeSnapshot({}, { state: 'failed', error }));
    expect(text.trimEnd().split('\n').slice(-3)).toEqual([
      'error: decode-0 was not ready [NOT_READY]',
      '  loading',
      'hint: Wait.',
    ]);
  });

  it('keeps its columns straight with a hundred processes', () => {
    const [one] = makeSnapshot().processes;
    const processes = Array.from({ length: 100 }, (_, index) => ({
      ...one!,
      name: `decode-${index}`,
      pid: 10 ** (index % 7),
    }));
    const rows = renderStatus(makeSnapshot({}, { processes }))
      .split('\n')
      .filter((line) => /^(PROCESS|decode-)/.test(line));
    expect(rows).toHaveLength(101);
    const stateColumns = new Set(rows.map((row) => row.search(/STATE|ready/)));
    const portColumns = new Set(rows.map((row) => row.search(/PORT|8101/)));
    expect([stateColumns.size, portColumns.size]).toEqual([1, 1]);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(80);
  });

  it('shows how GPUs are used, and RDMA links that are not up', () => {
    const gpu = { index: 0, name: 'NVIDIA H100 80GB HBM3', utilisation: 96.7, powerW: 612.4, temperatureC: 64 };
    const hosts = [
      {
        name: 'gpu-a',
        reachable: true,
        agent: 'connected' as const,
        gpus: [
          { ...gpu, memoryUsedBytes: 70 * 1024 ** 3, memoryBytes: 80 * 1024 ** 3 },
          {
            ...gpu,
            index: 1,
            utilisation: null,
            memoryUsedBytes: null,
            memoryBytes: null,
            powerW: null,
            temperatureC: null,
          },
        ],
        links: [
          { name: 'mlx5_0', kind: 'rdma' as const, up: true, state: 'active', rateGbps: 400 },
          { name: 'mlx5_1', kind: 'rdma' as const, up: false, state: 'init', rateGbps: null },
          { name: 'eno1', kind: 'ethernet' as const, up: false, state: 'down', rateGbps: null },
        ],
      },
      { name: 'gpu-b', reachable: false, agent: 'lost' as const, gpus: [], links: [] },
    ];
    const text = renderStatus(makeSnapshot({}, { hosts }));
    expect(text).toContain(`
HOST   GPU  NAME            USE   MEMORY            POWER  TEMP
gpu-a  0    H100 80GB HBM3  97 %  70 GiB of 80 GiB  612 W  64 °C
gpu-a  1    H100 80GB HBM3  -     -                 -      -

gpu-a: 1 of 2 RDMA links are not up: mlx5_1 (init)
`);
  });
});
