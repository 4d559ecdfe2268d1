import { DynamoError, ERRORS } from '../base/errors.ts';
import { showsUtf8 } from '../base/locale.ts';
import { writeArtifacts } from './artifacts.ts';
import { applyAliases, type BenchFlags, readBenchOptions } from './bench-options.ts';
import type { BenchReport } from './bench-report.ts';
import { ASCII_SIGNS, benchCharts, UTF8_SIGNS } from './charts.ts';
import { openProgress } from './progress.ts';
import { reportToJson } from './report-json.ts';
import { reportToText } from './report-table.ts';
import { type BenchOutcome, runBench } from './run-bench.ts';

const DEFAULT_COLUMNS = 100;

/**
 * `dynamo bench`: runs, prints the report, sets the exit status. The first SIGINT or SIGTERM ends the run and reports what there is;
 * the second ends the process.
 */
export async function benchAction(url: string, flags: BenchFlags): Promise<void> {
  const options = readBenchOptions(applyAliases(flags));
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const onSignal = (): void => {
    stop.abort(new DynamoError('GOAL_MISSED', 'cancelled before anything was measured'));
    for (const name of signals) process.off(name, onSignal);
  };
  for (const name of signals) process.on(name, onSignal);
  const progress = await openProgress(process.stderr, process.env);
  try {
    const command = describeCommand(process.argv.slice(2));
    const outcome = await runBench({ url, options, command, signal: stop.signal, onProgress: progress.update });
    progress.stop();
    const { report } = outcome;
    if (flags.json) process.stdout.write(`${JSON.stringify(reportToJson(report), null, 2)}\n`);
    else {
      const columns = process.stdout.columns ?? DEFAULT_COLUMNS;
      process.stdout.write(reportToText(report, columns));
      if (flags.chart !== false) printCharts(outcome, columns);
    }
    if (options.artifactDir !== undefined) {
      const files = writeArtifacts(options.artifactDir, report, outcome.records);
      for (const file of files) process.stderr.write(`wrote ${file}\n`);
    }
    judge(report);
  } finally {
    progress.stop();
    for (const name of signals) process.off(name, onSignal);
  }
}

function printCharts({ records, report }: BenchOutcome, columns: number): void {
  const signs = showsUtf8(process.env, process.platform) ? UTF8_SIGNS : ASCII_SIGNS;
  const charts = benchCharts(records, report.options.streaming, columns, signs);
  if (charts !== '') process.stdout.write(`\n${charts}\n`);
}

/**
 * Too many failed requests, or none answered, are a missed goal. The report is out already, so this is a line on stderr and an
 * exit status. A run ended by the user is judged by its failures only.
 */
function judge({ metrics, options, facts }: BenchReport): void {
  const count = (name: string): number => metrics[name]?.avg ?? 0;
  const failed = count('error_request_count');
  let problem: string | undefined;
  if (failed > options.failedRequestThreshold)
    problem = `${failed} of ${count('completed_request_count')} requests failed, allowed are ${options.failedRequestThreshold}`;
  else if (count('request_count') === 0 && !facts.wasCancelled) problem = 'no request was answered';
  if (problem === undefined) return;
  process.stderr.write(`error: ${problem} [GOAL_MISSED]\n`);
  process.exitCode = ERRORS.GOAL_MISSED.exit;
}

/** The command line for the report, without the values of headers, which may be secrets. */
export function describeCommand(argv: readonly string[]): string {
  const words = argv.map((word, index) => {
    const isHeader = /^(-H|--header)/.test(word) || /^(-H|--header)$/.test(argv[index - 1] ?? '');
    const shown = isHeader ? word.replace(/:.*/s, ': ***') : word;
    return /^[\w@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
  });
  return ['dynamo', ...words].join(' ');
}
