import { describe, expect, it } from 'vitest';
import type { DeploymentSnapshot } from '../../src/deployment/snapshot.ts';
import { fetchText } from '../../src/supervise/probes.ts';
import { parsePrometheusText, sumOf } from '../../src/telemetry/prometheus-text.ts';
import { Sandbox } from '../helpers/deployment-sandbox.ts';
import { hasMooncake, MOONCAKE, mooncakeRows } from '../helpers/mooncake.ts';
import { waitFor } from '../helpers/until.ts';

const ROWS = 300;

interface BenchReport {
  request_count: { avg: number };
  output_sequence_length: { sum: number; count: number };
  input_sequence_length: { sum: number };
  dynamo: { workers: { prefill: string; decode: string; count: number }[] };
}

async function counters(snapshot: DeploymentSnapshot, roles: readonly string[], name: string): Promise<number> {
  const { signal } = new AbortController();
  const texts = await Promise.all(
    snapshot.processes
      .filter((process) => roles.includes(process.role))
      .map(async ({ url }) => (await fetchText(`${url}/metrics`, { timeoutMs: 10_000, signal })).body.toString()),
  );
  return sumOf(texts.flatMap(parsePrometheusText), name) ?? 0;
}

describe('the quickstart, by the command line', () => {
  it.skipIf(!hasMooncake)(
    `replays ${ROWS} rows of the Mooncake conversation trace, and everything adds up`,
    async () => {
      await using box = new Sandbox();
      const serve = box.start('serve', 'recipes/quickstart.yaml', '--set', 'frontend.port=auto');
      await serve.readUntil(/curl -N http/);
      const before = await box.ready();
      expect(before.pairs.map((pair) => pair.state)).toEqual(['proven', 'proven', 'proven', 'proven']);
      const baseline = {
        frontend: await counters(before, ['frontend'], 'dynamo_frontend_requests_total'),
        finished: await counters(before, ['decode'], 'vllm:request_success_total'),
        generated: await counters(before, ['decode'], 'vllm:generation_tokens_total'),
        transfers: await counters(before, ['decode'], 'vllm:nixl_xfer_time_seconds_count'),
        prefilled: await counters(before, ['prefill'], 'vllm:request_success_total'),
      };

      const { code, stdout, stderr } = await box.run(
        'bench',
        'quickstart',
        '--trace',
        MOONCAKE,
        '--max-rows',
        String(ROWS),
        '--speedup-ratio',
        '10',
        '--json',
      );
      expect(stderr).not.toContain('error:');
      expect(code).toBe(0);
      const report = JSON.parse(stdout) as BenchReport;
      const rows = mooncakeRows(ROWS);
      const sum = (pick: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + pick(row), 0);

      // All answered, with the lengths the trace asks for.
      expect(report.request_count.avg).toBe(ROWS);
      expect(report.output_sequence_length.sum).toBe(sum((row) => row.output_length));
      expect(report.input_sequence_length.sum).toBe(sum((row) => row.input_length));

      // Frontend, workers and client agree.
      const after = await box.ready();
      // A counter may be written after the answer it counts.
      const risen = async (roles: readonly string[], name: string, from: number, least = ROWS) =>
        waitFor(`${name} to have risen by ${least}`, async () => {
          const by = (await counters(after, roles, name)) - from;
          return by >= least ? by : undefined;
        });
      expect(await risen(['frontend'], 'dynamo_frontend_requests_total', baseline.frontend)).toBe(ROWS);
      expect(await risen(['decode'], 'vllm:request_success_total', baseline.finished)).toBe(ROWS);
      const generated = sum((row) => row.output_length);
      expect(await risen(['decode'], 'vllm:generation_tokens_total', baseline.generated, generated)).toBe(generated);
      expect(await risen(['prefill'], 'vllm:request_success_total', baseline.prefilled)).toBe(ROWS);
      expect(await risen(['decode'], 'vllm:nixl_xfer_time_seconds_count', baseline.transfers, 1)).toBeGreaterThan(0);

      // Every prefill × decode pair was used.
      const used = report.dynamo.workers.map((entry) => `${entry.prefill} → ${entry.decode}`);
      for (const { prefill, decode } of before.pairs) expect(used).toContain(`${prefill} → ${decode}`);
      expect(report.dynamo.workers.reduce((total, entry) => total + entry.count, 0)).toBe(ROWS);

      // Status in JSON and the processes agree.
      expect(after.processes.map((process) => [process.name, process.pid])).toEqual(
        before.processes.map((process) => [process.name, process.pid]),
      );
      expect(after.processes.every((process) => process.restarts === 0)).toBe(true);

      expect((await box.run('stop')).code).toBe(0);
      expect(await serve.exited).toBe(0);
      await waitFor('nothing to be left', () => box.processes().length === 0);
    },
  );

  it('passes smoke, and leaves neither processes nor state', async () => {
    await using box = new Sandbox();
    const junit = box.file('smoke.xml', '');
    const { code, stdout } = await box.run('smoke', 'recipes/quickstart.yaml', '--junit', junit);
    expect(stdout).toContain('13 checks passed, 0 failed');
    expect(code).toBe(0);
    expect(box.processes()).toEqual([]);
    expect((await box.run('ls', '--all')).stdout).toBe('no deployments\n');
  });

  it('smoke fails, with a report, when a worker lies about its transfers', async () => {
    await using box = new Sandbox();
    const junit = box.file('smoke.xml', '');
    const { code, stdout, stderr } = await box.run(
      'smoke',
      'recipes/quickstart.yaml',
      '--junit',
      junit,
      '--set',
      'workers.decode.args.fault=lie-about-transfer',
    );
    expect(code).toBe(5);
    expect(stderr).toContain('[KV_PATH_FAILED]');
    expect(stdout).toContain('FAIL  starts and is ready');
    expect(stdout).toContain('ok    leaves nothing');
    await waitFor('nothing to be left', () => box.processes().length === 0);
  });
});
