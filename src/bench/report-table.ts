import type { BenchReport } from './bench-report.ts';
import type { Distribution } from './statistics.ts';

/** Rows of the console table, in AIPerf's order and words. */
const ROWS: readonly (readonly [name: string, label: string])[] = [
  ['time_to_first_token', 'Time to First Token (ms)'],
  ['time_to_second_token', 'Time to Second Token (ms)'],
  ['request_latency', 'Request Latency (ms)'],
  ['inter_token_latency', 'Inter Token Latency (ms)'],
  ['inter_chunk_latency', 'Inter Chunk Latency (ms)'],
  ['output_token_throughput_per_user', 'Output Tokens/s per User'],
  ['e2e_output_token_throughput', 'E2E Output Tokens/s per User'],
  ['prefill_throughput_per_user', 'Prefill Tokens/s per User'],
  ['input_sequence_length', 'Input Length (tokens)'],
  ['output_sequence_length', 'Output Length (tokens)'],
  ['cached_tokens', 'Cached Input (tokens)'],
  ['replay_sched_lag', 'Send Lag (ms)'],
];
/** Columns of the table: the first set that fits the terminal. The first is AIPerf's. */
const COLUMN_SETS: readonly (readonly (keyof Distribution)[])[] = [
  ['avg', 'min', 'max', 'p99', 'p90', 'p50', 'std'],
  ['avg', 'max', 'p99', 'p90', 'p50'],
  ['avg', 'p99', 'p50'],
];
const MAX_WORKER_LINES = 16;

/** The report for people, at most `columns` wide. No colours; looks the same in a file. */
export function reportToText(report: BenchReport, columns: number): string {
  const width = Math.max(60, columns);
  const sections = [
    title(report),
    distributionTable(report, width),
    totals(report),
    workers(report),
    errors(report),
    notes(report, width),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function title({ facts, options }: BenchReport): string[] {
  const { load } = options;
  const cap =
    load.kind !== 'concurrency' && load.concurrency !== undefined ? `, at most ${load.concurrency} at once` : '';
  const shape =
    load.kind === 'concurrency'
      ? `${load.concurrency} at once`
      : load.kind === 'rate'
        ? `${load.requestRate} requests/s, ${load.pattern}${cap}`
        : `trace schedule at ${options.trace?.speedupRatio}× speed${cap}`;
  const input = facts.trace
    ? `${facts.trace.file}: ${facts.trace.rows} rows`
    : `synthetic, ${lengthText(options.lengths.isl, options.lengths.islStddev)} in, ${lengthText(options.lengths.osl, options.lengths.oslStddev)} out`;
  return [
    `dynamo bench · ${facts.model} · ${facts.url}${facts.wasCancelled ? ' · cancelled' : ''}`,
    `${options.endpointType}, ${options.streaming ? 'streamed' : 'not streamed'} · ${shape}`,
    input,
  ];
}

const lengthText = (mean: number, deviation: number): string => (deviation > 0 ? `${mean} ± ${deviation}` : `${mean}`);

function distributionTable({ metrics }: BenchReport, width: number): string[] {
  const tables = COLUMN_SETS.map((keys) => {
    const rows = ROWS.flatMap(([name, label]) => {
      const metric = metrics[name];
      return metric && 'p50' in metric ? [[label, ...keys.map((key) => formatNumber(Number(metric[key])))]] : [];
    });
    return rows.length === 0 ? [] : layOut([['Metric', ...keys], ...rows]);
  });
  return tables.find((lines) => (lines[0]?.length ?? 0) <= width) ?? tables.at(-1)!;
}

function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return [line(rows[0]!), '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...rows.slice(1).map(line)];
}

/** 1,234.56: two decimals while they tell something. */
export function formatNumber(value: number): string {
  const digits = Math.abs(value) >= 10_000 ? 0 : Math.abs(value) >= 1_000 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function totals(report: BenchReport): string[] {
  const { metrics, facts } = report;
  const value = (name: string, suffix = ''): string | undefined => {
    const metric = metrics[name];
    return metric && `${formatNumber(metric.avg)}${suffix}`;
  };
  const count = (name: string): number => metrics[name]?.avg ?? 0;
  const percent = (name: string): string | undefined => metrics[name] && `${(metrics[name].avg * 100).toFixed(1)} %`;
  const failed = count('error_request_count');
  const cancelled = report.cancelledRequests > 0 ? `, ${report.cancelledRequests} cancelled` : '';
  const goodput =
    metrics['good_request_count'] &&
    `${value('goodput') ?? '0'} requests/s (${count('good_request_count')} good, ${percent('good_request_fraction') ?? '0 %'})`;
  const { clientLoad } = facts;
  const lines: (readonly [string, string | undefined])[] = [
    ['Requests', `${count('request_count')} answered, ${failed} failed${cancelled}`],
    ['Duration', value('benchmark_duration', ' s')],
    ['Request throughput', value('request_throughput', ' requests/s')],
    ['Output throughput', value('output_token_throughput', ' tokens/s')],
    ['Total throughput', value('total_token_throughput', ' tokens/s')],
    ['Goodput', goodput || undefined],
    ['Cached input', percent('cache_hit_fraction')],
    [
      'This client',
      `${clientLoad.cpuCores.toFixed(2)} CPU cores, event loop ${Math.round(clientLoad.eventLoopUtilization * 100)} % busy`,
    ],
  ];
  const shown = lines.filter(([, text]) => text !== undefined);
  const width = Math.max(...shown.map(([label]) => label.length));
  return shown.map(([label, text]) => `${label.padEnd(width)}  ${text}`);
}

function workers({ workers: counts }: BenchReport): string[] {
  if (counts.length === 0) return [];
  const shown = counts.slice(0, MAX_WORKER_LINES).map(({ prefill, decode, count }) => {
    const path = [prefill, decode].filter((name) => name !== null).join(' → ');
    return `  ${String(count).padStart(6)}  ${path}`;
  });
  const more = counts.length > MAX_WORKER_LINES ? [`  and ${counts.length - MAX_WORKER_LINES} more`] : [];
  return [
    `Served by (${counts.some(({ prefill }) => prefill !== null) ? 'prefill → decode' : 'worker'})`,
    ...shown,
    ...more,
  ];
}

function errors({ errors: counts }: BenchReport): string[] {
  if (counts.length === 0) return [];
  return [
    'Errors',
    ...counts.map(
      ({ code, type, message, count }) =>
        `  ${String(count).padStart(6)}  ${[code, type].filter((part) => part !== null).join(' ')}: ${message}`,
    ),
  ];
}

function notes({ warnings }: BenchReport, width: number): string[] {
  return warnings.flatMap((warning) => wrap(`! ${warning}`, width));
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = ` `;
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
