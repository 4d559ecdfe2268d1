/**
 * Counters, gauges and histograms written in the Prometheus text format. Small on purpose: label values are positional and a
 * series is looked up once per request, so counting costs a map lookup and an addition.
 */
type LabelValues = readonly string[];

interface Metric {
  write(lines: string[]): void;
}

export class MetricRegistry {
  readonly #metrics: Metric[] = [];
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    return this.#add(new Counter(name, help, labels, 'counter'));
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Counter {
    return this.#add(new Counter(name, help, labels, 'gauge'));
  }

  /** `buckets` are upper bounds in rising order, without infinity. */
  histogram(name: string, help: string, buckets: readonly number[], labels: readonly string[] = []): Histogram {
    return this.#add(new Histogram(name, help, buckets, labels));
  }

  /** Called before each exposition, to set gauges. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** The text exposition. */
  expose(): string {
    for (const collect of this.#collectors) collect();
    const lines: string[] = [];
    for (const metric of this.#metrics) metric.write(lines);
    return `${lines.join('\n')}\n`;
  }

  #add<M extends Metric>(metric: M): M {
    this.#metrics.push(metric);
    return metric;
  }
}

/** A counter or a gauge. */
export class Counter implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #type: 'counter' | 'gauge';
  #series = new Map<string, { text: string; value: number }>();

  constructor(name: string, help: string, labels: readonly string[], type: 'counter' | 'gauge') {
    this.#name = name;
    this.#help = help;
    this.#labels = labels;
    this.#type = type;
    if (labels.length === 0) this.#seriesOf([]);
  }

  add(amount: number, values: LabelValues = []): void {
    this.#seriesOf(values).value += amount;
  }

  set(value: number, values: LabelValues = []): void {
    this.#seriesOf(values).value = value;
  }

  /** Forgets all series, for gauges whose label values come and go. */
  clear(): void {
    this.#series = new Map();
  }

  write(lines: string[]): void {
    lines.push(`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} ${this.#type}`);
    for (const { text, value } of this.#series.values()) lines.push(`${this.#name}${text} ${value}`);
  }

  #seriesOf(values: LabelValues): { text: string; value: number } {
    const key = values.length === 1 ? values[0]! : values.join('\0');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { text: labelText(this.#labels, values), value: 0 };
      this.#series.set(key, series);
    }
    return series;
  }
}

interface HistogramSeries {
  values: LabelValues;
  counts: Float64Array;
  sum: number;
  count: number;
}

export class Histogram implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #buckets: readonly number[];
  readonly #series = new Map<string, HistogramSeries>();

  constructor(name: string, help: string, buckets: readonly number[], labels: readonly string[]) {
    this.#name = name;
    this.#help = help;
    this.#buckets = buckets;
    this.#labels = labels;
  }

  /** Counts `value` `times` times. */
  observe(value: number, values: LabelValues = [], times = 1): void {
    const key = values.length === 1 ? values[0]! : values.join('\0');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { values: [...values], counts: new Float64Array(this.#buckets.length), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    series.sum += value * times;
    series.count += times;
    const bucket = this.#buckets.findIndex((bound) => value <= bound);
    if (bucket >= 0) series.counts[bucket]! += times;
  }

  write(lines: string[]): void {
    lines.push(`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`);
    for (const { values, counts, sum, count } of this.#series.values()) {
      let below = 0;
      for (const [index, bound] of this.#buckets.entries()) {
        below += counts[index]!;
        lines.push(`${this.#name}_bucket${labelText([...this.#labels, 'le'], [...values, String(bound)])} ${below}`);
      }
      lines.push(`${this.#name}_bucket${labelText([...this.#labels, 'le'], [...values, '+Inf'])} ${count}`);
      const text = labelText(this.#labels, values);
      lines.push(`${this.#name}_sum${text} ${sum}`, `${this.#name}_count${text} ${count}`);
    }
  }
}

function labelText(labels: readonly string[], values: LabelValues): string {
  if (labels.length === 0) return '';
  return `{${labels.map((label, index) => `${label}="${escapeValue(values[index] ?? '')}"`).join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
