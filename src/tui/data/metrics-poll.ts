import type { DeploymentSnapshot, ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { Decision } from '../../frontend/decision-log.ts';
import { fetchText } from '../../supervise/probes.ts';
import { parsePrometheusText, type Sample } from '../../telemetry/prometheus-text.ts';
import { type LoadReading, metricsPath, type ProcessLoad, readLoad } from './process-load.ts';
import { type FrontendPair, type FrontendReading, readFrontend, type TrafficPoint, trafficPoint } from './traffic.ts';

const TIMEOUT_MS = 1_500;
/** Requests at once, and the most processes asked in one round: the rest take turns. */
const AT_ONCE = 8;
const WORKERS_A_ROUND = 24;

export interface PollResult {
  loads: Record<string, ProcessLoad>;
  /** Null for the first round, which has nothing to compare with. */
  traffic: TrafficPoint | null;
}

/** Asks the processes of a deployment for their metrics, and remembers the counters the next rates are taken from. */
export class MetricsPoll {
  readonly #signal: AbortSignal;
  readonly #readings = new Map<string, LoadReading>();
  readonly #frontends = new Map<string, FrontendReading>();
  #loads: Record<string, ProcessLoad> = {};
  #lastRoundMs: number | undefined;
  #turn = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** One round. Never rejects: a process that does not answer has no load. */
  async round(snapshot: DeploymentSnapshot): Promise<PollResult> {
    const asked = snapshot.processes.filter(answersMetrics);
    const names = new Set(asked.map((process) => process.name));
    for (const name of Object.keys(this.#loads)) if (!names.has(name)) delete this.#loads[name];
    const pairs: FrontendPair[] = [];
    const frontends = asked.filter((process) => process.role === 'frontend');
    await eachOf([...frontends, ...this.#nextWorkers(asked)], async (process) => {
      const samples = await this.#scrape(process);
      if (samples === undefined) {
        delete this.#loads[process.name];
        return;
      }
      this.#note(process, samples);
      if (process.role === 'frontend') {
        const after = readFrontend(samples);
        const before = this.#frontends.get(process.name);
        this.#frontends.set(process.name, after);
        if (before) pairs.push({ before, after });
      }
    });
    const nowMs = performance.now();
    const elapsedMs = this.#lastRoundMs === undefined ? undefined : nowMs - this.#lastRoundMs;
    this.#lastRoundMs = nowMs;
    const loads = { ...this.#loads };
    return { loads, traffic: elapsedMs === undefined ? null : trafficPoint(pairs, loads, elapsedMs) };
  }

  /** The last routing decisions of all frontends, newest first. */
  async decisions(snapshot: DeploymentSnapshot): Promise<Decision[]> {
    const all: Decision[] = [];
    const frontends = snapshot.processes.filter((process) => process.role === 'frontend' && answersMetrics(process));
    await eachOf(frontends, async (process) => {
      const text = await this.#get(`${process.url}/router/decisions`);
      if (text !== undefined) all.push(...parseDecisions(text));
    });
    return all.sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, 200);
  }

  #nextWorkers(asked: readonly ProcessSnapshot[]): ProcessSnapshot[] {
    const workers = asked.filter((process) => process.role !== 'frontend');
    if (workers.length <= WORKERS_A_ROUND) return workers;
    const from = this.#turn % workers.length;
    this.#turn = (from + WORKERS_A_ROUND) % workers.length;
    return [...workers, ...workers].slice(from, from + WORKERS_A_ROUND);
  }

  #note(process: ProcessSnapshot, samples: readonly Sample[]): void {
    const { load, reading } = readLoad(process, samples, performance.now(), this.#readings.get(process.name));
    this.#readings.set(process.name, reading);
    this.#loads[process.name] = load;
  }

  async #scrape(process: ProcessSnapshot): Promise<Sample[] | undefined> {
    const text = await this.#get(`${process.url}${metricsPath(process)}`);
    return text === undefined ? undefined : parsePrometheusText(text);
  }

  async #get(url: string): Promise<string | undefined> {
    try {
      const { status, body } = await fetchText(url, { timeoutMs: TIMEOUT_MS, signal: this.#signal });
      return status === 200 ? body.toString('utf8') : undefined;
    } catch {
      return undefined; // gone, starting, or busy: its state tells
    }
  }
}

function parseDecisions(text: string): Decision[] {
  try {
    return (JSON.parse(text) as { decisions: Decision[] }).decisions;
  } catch {
    return []; // cut off: the next round has them
  }
}

const answersMetrics = (process: ProcessSnapshot) =>
  process.url !== '' && metricsPath(process) !== null && (process.state === 'ready' || process.state === 'draining');

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
}
