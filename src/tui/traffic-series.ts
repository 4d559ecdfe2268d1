import type { TrafficPoint } from './data/traffic.ts';
import { formatCount, formatSeconds, formatShare } from './text/format.ts';

/** One quantity over time, as the screens draw it. */
export interface TrafficSeries {
  key: string;
  label: string;
  /** One a step, oldest first. */
  values: (number | null)[];
  format(value: number): string;
}

/** The quantities of a traffic history in the order they are shown. Pure. */
export function trafficSeries(points: readonly TrafficPoint[]): TrafficSeries[] {
  const series = (key: keyof TrafficPoint, label: string, format: (value: number) => string): TrafficSeries => ({
    key,
    label,
    values: points.map((point) => point[key]),
    format,
  });
  return [
    series('requestsPerSecond', 'requests/s', formatCount),
    series('tokensPerSecond', 'tokens/s', formatCount),
    series('ttftP50', 'TTFT p50', formatSeconds),
    series('ttftP99', 'TTFT p99', formatSeconds),
    series('itlP50', 'ITL p50', formatSeconds),
    series('itlP99', 'ITL p99', formatSeconds),
    series('cacheHitRate', 'cache hits', formatShare),
    series('active', 'in flight', formatCount),
    series('queued', 'queued', formatCount),
  ];
}

/** The newest value there is, within the last `within` steps: a pause between two requests is no end of traffic. */
export function latest(series: TrafficSeries, within = 5): string {
  const value = series.values.slice(-within).findLast((entry) => entry !== null);
  return value == null ? '-' : series.format(value);
}

/** The highest value of the history. */
export function peak(series: TrafficSeries): string {
  const known = series.values.filter((value) => value !== null);
  return known.length === 0 ? '-' : series.format(Math.max(...known));
}
