import { describe, expect, it } from 'vitest';
import { reportToCsv } from '../../../src/bench/artifacts.ts';
import { describeCommand } from '../../../src/bench/bench-action.ts';
import type { BenchOptions } from '../../../src/bench/bench-options.ts';
import { buildReport, type RunFacts } from '../../../src/bench/bench-report.ts';
import { reportToJson } from '../../../src/bench/report-json.ts';
import { formatNumber, reportToText } from '../../../src/bench/report-table.ts';
import { record } from './fixtures.ts';

const options: BenchOptions = {
  model: undefined,
  endpointType: 'completions',
  streaming: true,
  load: { kind: 'schedule', concurrency: undefined },
  requestCount: undefined,
  durationMs: undefined,
  graceMs: 0,
  warmupRequestCount: 0,
  lengths: { isl: 1, islStddev: 0, osl: 1, oslStddev: 0 },
  trace: { file: 't.jsonl', speedupRatio: 2, maxRows: undefined, blockSize: 512, maxIsl: 100, maxOsl: undefined },
  randomSeed: 0,
  timeoutMs: 1,
  exactOutput: true,
  useServerTokenCount: true,
  extraInputs: {},
  headers: {},
  serviceLevels: [{ metric: 'time_to_first_token', limit: 50 }],
  failedRequestThreshold: 0,
  artifactDir: undefined,
};
const facts: RunFacts = {
  version: '0.0.0',
  benchmarkId: 'b',
  url: 'http://127.0.0.1:1',
  model: 'm',
  command: 'dynamo bench',
  startTime: new Date(0),
  endTime: new Date(1_000),
  wasCancelled: false,
  clientLoad: { cpuCores: 0.5, eventLoopUtilization: 0.4, eventLoopDelayP99Ms: 1, saturated: false },
  failedWarmups: 0,
  trace: { file: 't.jsonl', rows: 4, blockSize: 512, speedupRatio: 2, cutInputs: 3, cutOutputs: 0 },
};
const error = { code: 503, type: 'no_instances', message: 'none' };
const records = [
  record({ scheduledMs: 0, startMs: 0, servedBy: { prefill: 'p0', decode: 'd0' } }),
  record({ scheduledMs: 0, startMs: 0, servedBy: { prefill: 'p0', decode: 'd0' } }),
  record({ scheduledMs: 0, startMs: 900, contentMs: [920, 930, 950], servedBy: { prefill: 'p1', decode: 'd0' } }),
  record({
    scheduledMs: 0,
    startMs: 1,
    outcome: 'error',
    error,
    contentMs: [],
    servedBy: { prefill: 'p1', decode: 'd0' },
  }),
];

describe('buildReport', () => {
  it('counts errors and who served, and flags a late client', () => {
    const report = buildReport(records, options, facts);
    expect(report.errors).toEqual([{ ...error, count: 1 }]);
    expect(report.workers).toEqual([
      { prefill: 'p0', decode: 'd0', count: 2 },
      { prefill: 'p1', decode: 'd0', count: 1 },
    ]);
    expect(report.degraded).toBe(true);
    expect(report.warnings.join('\n')).toMatch(/Degraded: p99/);
    expect(report.warnings.join('\n')).toContain('The trace was cut: 3 inputs to 100 tokens.');
  });

  it('says when the client was the limit, and when a burst dominates', () => {
    const busy = { ...facts, clientLoad: { ...facts.clientLoad, eventLoopUtilization: 0.97, saturated: true } };
    expect(buildReport(records, options, busy).warnings.join()).toContain('busy 97 % of the time');
    const closed: BenchOptions = { ...options, load: { kind: 'concurrency', concurrency: 3 } };
    expect(buildReport(records, closed, facts).warnings.join()).toContain(
      '100 % of the requests belong to the first burst of 3',
    );
  });

  it('says when nothing was answered', () => {
    expect(buildReport([records[3]!], options, facts).warnings[0]).toMatch(/No request was answered/);
  });
});

describe('output', () => {
  const report = buildReport(records, options, facts);

  it('is AIPerf’s document with our part apart', () => {
    const json = JSON.parse(JSON.stringify(reportToJson(report))) as Record<string, unknown>;
    expect(json).toMatchObject({
      schema_version: '1.4',
      time_to_first_token: { unit: 'ms', avg: 20, p50: 20, count: 3 },
      request_throughput: { unit: 'requests/sec' },
      was_cancelled: false,
      error_summary: [{ error_details: error, count: 1 }],
      dynamo: { degraded: true, trace: { rows: 4, cut_inputs: 3 } },
    });
    expect(JSON.stringify(json)).not.toContain('null,null');
  });

  it('fits every width it is asked for', () => {
    for (const columns of [60, 80, 100, 120]) {
      const lines = reportToText(report, columns).split('\n');
      expect(Math.max(...lines.map((line) => line.length)), `${columns} columns`).toBeLessThanOrEqual(columns);
    }
    const wide = reportToText(report, 120);
    expect(wide).toMatch(/Metric +avg +min +max +p99 +p90 +p50 +std\n/);
    expect(wide).toContain('3 answered, 1 failed');
    expect(wide).toContain('2  p0 → d0');
    expect(wide).toContain('1  503 no_instances: none');
    expect(wide).toMatch(/Goodput +[\d.]+ requests\/s \(3 good, 75\.0 %\)/);
  });

  it('has the two blocks of AIPerf’s CSV', () => {
    const [first, second] = reportToCsv(report).split('\n\n');
    expect(first).toMatch(/^Metric,avg,min,max,sum,p1,p5,p10,p25,p50,p75,p90,p95,p99,std\n/);
    expect(first).toContain('time_to_first_token (ms),20.00,20.00,20.00,60.00');
    expect(second).toContain('request_count (requests),3.00');
  });

  it('formats numbers by size', () => {
    expect([0, 1.234, 999.999, 1234.5, 123456.7].map(formatNumber)).toEqual([
      '0.00',
      '1.23',
      '1,000.00',
      '1,234.5',
      '123,457',
    ]);
  });
});

describe('describeCommand', () => {
  it('quotes for a shell and hides header values', () => {
    expect(
      describeCommand([
        'bench',
        'http://a:1',
        '-H',
        'Authorization: Bearer s3cret',
        '--header=X: y',
        '--goodput',
        'a:1 b:2',
      ]),
    ).toBe("dynamo bench http://a:1 -H 'Authorization: ***' '--header=X: ***' --goodput 'a:1 b:2'");
  });
});
