import { DynamoError } from '../base/errors.ts';

/** Limits a request must keep to count as good. */
export interface ServiceLevel {
  metric: SloMetric;
  limit: number;
}

/** Per-request metrics a limit can be set on, in the unit of the report. The first group must not exceed it, the second not fall short. */
const AT_MOST = [
  'time_to_first_token',
  'time_to_second_token',
  'time_to_first_output_token',
  'request_latency',
  'inter_token_latency',
] as const;
const AT_LEAST = [
  'output_token_throughput_per_user',
  'prefill_throughput_per_user',
  'e2e_output_token_throughput',
] as const;
export type SloMetric = (typeof AT_MOST)[number] | (typeof AT_LEAST)[number];

/** Reads `time_to_first_token:100 inter_token_latency:20` (milliseconds, or tokens per second). Throws `USAGE`. */
export function parseServiceLevels(text: string): ServiceLevel[] {
  return text
    .trim()
    .split(/[\s,]+/)
    .map((entry) => {
      const [metric, limit] = entry.split(':');
      const known: readonly string[] = [...AT_MOST, ...AT_LEAST];
      if (metric === undefined || !known.includes(metric))
        throw new DynamoError('USAGE', `--goodput: unknown metric ${metric}`, { hint: `Known: ${known.join(', ')}.` });
      const value = Number(limit);
      if (limit === undefined || limit === '' || !(value > 0))
        throw new DynamoError('USAGE', `--goodput: ${entry} needs a limit over 0, such as ${metric}:100`);
      return { metric: metric as SloMetric, limit: value };
    });
}

/** Whether a request keeps every limit. A limit on a metric the request does not have is not kept. */
export function isGood(values: Readonly<Partial<Record<SloMetric, number>>>, levels: readonly ServiceLevel[]): boolean {
  return levels.every(({ metric, limit }) => {
    const value = values[metric];
    if (value === undefined) return false;
    return (AT_MOST as readonly string[]).includes(metric) ? value <= limit : value >= limit;
  });
}
