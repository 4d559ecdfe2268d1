import { measureRequest } from './request-metrics.ts';
import type { RequestRecord } from './request-record.ts';
import { shortNumber } from './short-number.ts';
import { percentile } from './statistics.ts';

/** Characters of a chart. Nothing is told by colour. */
export interface ChartSigns {
  bar: string;
  /** From the lowest to the highest eighth of a row. */
  levels: string;
  axis: string;
  corner: string;
  line: string;
}

export const UTF8_SIGNS: ChartSigns = { bar: '█', levels: '▁▂▃▄▅▆▇█', axis: '┤', corner: '└', line: '─' };
export const ASCII_SIGNS: ChartSigns = { bar: '#', levels: '._-:=+*#', axis: '|', corner: '+', line: '-' };

const MAX_BINS = 10;
const CHART_ROWS = 6;
const WIDEST = 100;
/** A distribution of fewer values is no distribution. */
const FEWEST = 3;

/** Time to first token, time between tokens and throughput over time as text, at most `columns` wide (60 at least). Pure. */
export function benchCharts(
  records: readonly RequestRecord[],
  streaming: boolean,
  columns: number,
  signs: ChartSigns,
): string {
  const width = Math.min(WIDEST, Math.max(60, columns));
  const ok = records.filter((record) => record.outcome === 'ok');
  const measured = ok.map((record) => measureRequest(record, streaming));
  const values = (name: 'time_to_first_token' | 'inter_token_latency' | 'request_latency'): number[] =>
    measured.flatMap((request) => request[name] ?? []);
  const charts = streaming
    ? [
        histogram('Time to first token (ms)', values('time_to_first_token'), width, signs),
        histogram('Inter token latency (ms)', values('inter_token_latency'), width, signs),
        throughputChart(ok, width, signs),
      ]
    : [histogram('Request latency (ms)', values('request_latency'), width, signs)];
  return charts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** How many values lie in each bin; bins grow by steps of 1, 2, 5, so that a long tail keeps its place. Empty for too few values. Pure. */
export function histogram(title: string, values: readonly number[], width: number, signs: ChartSigns): string[] {
  if (values.length < FEWEST) return [];
  const sorted = Float64Array.from(values).sort();
  const edges = binEdges(sorted[0]!, sorted[sorted.length - 1]!);
  const counts = edges.slice(1).map((to, index) => {
    const from = edges[index]!;
    return sorted.filter((value) => value >= from && (value < to || index === edges.length - 2)).length;
  });
  const names = edgeNames(edges);
  const labels = counts.map((_, index) => `${names[index]}-${names[index + 1]}`);
  const labelWidth = Math.max(...labels.map((label) => label.length));
  const most = Math.max(...counts);
  const countWidth = String(most).length;
  const room = width - labelWidth - countWidth - 6;
  const rows = counts.map((count, index) => {
    const length = count === 0 ? 0 : Math.max(1, Math.round((count / most) * room));
    return `  ${labels[index]!.padStart(labelWidth)}  ${String(count).padStart(countWidth)}  ${signs.bar.repeat(length)}`.trimEnd();
  });
  const mid = [50, 90, 99].map((p) => `p${p} ${shortNumber(percentile(sorted, p))}`).join(', ');
  return [`${title}: ${mid}`, ...rows];
}

/** As short as they can be and still differ. */
function edgeNames(edges: readonly number[]): string[] {
  const short = edges.map(shortNumber);
  const isPlain = edges.every((edge) => edge < 1_000);
  if (!isPlain && new Set(short).size === short.length) return short;
  const step = Math.min(...edges.slice(1).map((edge, index) => edge - edges[index]!));
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return edges.map((edge) => edge.toFixed(Math.min(digits, 6)));
}

/** Edges that hold everything from `least` to `most`, at most ten bins: equal steps when the values are near each other, else growing ones. */
function binEdges(least: number, most: number): number[] {
  if (most > least * 8 && least > 0) {
    const edges = growingEdges(least, most);
    if (edges.length - 1 <= MAX_BINS) return edges;
  }
  const step = niceStep((most - least) / (MAX_BINS - 2));
  const first = Math.floor(least / step) * step;
  const count = Math.max(1, Math.ceil((most - first) / step + 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => first + index * step);
}

/** … 1, 2, 5, 10, 20, 50 … around the values. */
function growingEdges(least: number, most: number): number[] {
  const edges: number[] = [];
  for (let power = Math.floor(Math.log10(least)); edges.length < 64; power += 1) {
    for (const digit of [1, 2, 5]) {
      const edge = digit * 10 ** power;
      edges.push(edge);
      if (edge > most) return edges.slice(edges.findIndex((_, index) => edges[index + 1]! > least));
    }
  }
  return edges;
}

/** The next 1, 2 or 5 times a power of ten; 1 for nothing. */
function niceStep(raw: number): number {
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((digit) => digit * power >= raw * (1 - 1e-9)) ?? 10);
}

/** Output tokens per second over the run. Tokens of an answer are spread over the chunks they came in. Pure. */
export function throughputChart(records: readonly RequestRecord[], width: number, signs: ChartSigns): string[] {
  if (records.length < FEWEST) return [];
  const start = Math.min(...records.map((record) => record.startMs));
  const end = Math.max(...records.map((record) => record.contentMs.at(-1) ?? record.endMs));
  if (end <= start) return [];
  const labelWidth = 6;
  const slices = width - labelWidth - 2;
  const sliceMs = (end - start) / slices;
  const tokens = new Float64Array(slices);
  for (const record of records) {
    const count = record.usage?.completionTokens ?? record.contentMs.length;
    for (const at of record.contentMs) {
      const slice = Math.min(slices - 1, Math.max(0, Math.floor((at - start) / sliceMs)));
      tokens[slice]! += count / record.contentMs.length;
    }
  }
  const rates = tokens.map((count) => (count / sliceMs) * 1_000);
  const top = Math.max(...rates);
  const rows = Array.from({ length: CHART_ROWS }, (_, row) => {
    const fromTop = CHART_ROWS - 1 - row;
    const label = row === 0 ? shortNumber(top) : row === CHART_ROWS / 2 ? shortNumber(top / 2) : '';
    const cells = Array.from(rates, (rate) => cell((rate / top) * CHART_ROWS - fromTop, signs)).join('');
    return `${label.padStart(labelWidth)} ${signs.axis}${cells}`.trimEnd();
  });
  const seconds = `${shortNumber((end - start) / 1_000)} s`;
  return [
    'Output tokens per second over time',
    ...rows,
    `${'0'.padStart(labelWidth)} ${signs.corner}${signs.line.repeat(slices)}`,
    `${' '.repeat(labelWidth + 2)}0 s${seconds.padStart(slices - 3)}`,
  ];
}

/** What a value fills of one row: 0 and less nothing, 1 and more all of it. */
function cell(filled: number, { levels }: ChartSigns): string {
  if (filled <= 0) return ' ';
  return levels[Math.min(levels.length - 1, Math.floor(filled * levels.length))]!;
}
