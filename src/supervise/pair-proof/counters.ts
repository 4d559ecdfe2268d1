import { until } from '../../base/until.ts';
import { parsePrometheusText, type Sample } from '../../telemetry/prometheus-text.ts';
import { fetchText } from '../probes.ts';

const READ_TIMEOUT_MS = 10_000;
/** Engines with several processes write their counters with a delay. */
const RISE_DEADLINE_MS = 5_000;

/** What a worker's /metrics says now. Throws when it does not answer there: nothing could be proven. */
export async function readCounters(url: string, signal: AbortSignal): Promise<Sample[]> {
  const { status, body } = await fetchText(`${url}/metrics`, { timeoutMs: READ_TIMEOUT_MS, signal });
  if (status !== 200) throw new Error(`GET ${url}/metrics answers ${status}, and without counters nothing is proven`);
  return parsePrometheusText(body.toString());
}

/** Rise of a counter, summed over its labels; a counter that is not there stands at 0. */
export function riseOf(name: string, before: readonly Sample[], after: readonly Sample[]): number {
  return total(name, after) - total(name, before);
}

/** The largest rise among the label sets of a counter, for engines whose ranks all report the same thing. */
export function largestRiseOf(name: string, before: readonly Sample[], after: readonly Sample[]): number {
  const old = new Map(before.filter((sample) => sample.name === name).map((sample) => [keyOf(sample), sample.value]));
  const rises = after
    .filter((sample) => sample.name === name)
    .map((sample) => sample.value - (old.get(keyOf(sample)) ?? 0));
  return Math.max(0, ...rises);
}

/** Reads a worker's counters again until they are as wanted; undefined when they do not get there in time. */
export function awaitCounters(
  url: string,
  areRisen: (samples: readonly Sample[]) => boolean,
  signal: AbortSignal,
  deadlineMs = RISE_DEADLINE_MS,
): Promise<Sample[] | undefined> {
  return until(
    async () => {
      const samples = await readCounters(url, signal);
      return areRisen(samples) ? samples : undefined;
    },
    { deadlineMs, intervalMs: 10, signal },
  );
}

const total = (name: string, samples: readonly Sample[]): number =>
  samples.reduce((sum, sample) => (sample.name === name ? sum + sample.value : sum), 0);

const keyOf = ({ labels }: Sample): string => JSON.stringify(Object.entries(labels).sort());
