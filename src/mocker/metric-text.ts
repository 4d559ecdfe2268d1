/** Writes the Prometheus text format; a registry would cost more start-up time than it saves lines here. */
export class MetricText {
  readonly #lines: string[] = [];
  readonly #labels: string;

  /** `labels` go on every sample: `model_name="x",engine="0"`. */
  constructor(labels: string) {
    this.#labels = labels;
  }

  gauge(name: string, help: string, value: number): void {
    this.#head(name, help, 'gauge');
    this.#sample(name, '', value);
  }

  /** `name` without `_total`. With `values`, one sample for each value of `label`. */
  counter(name: string, help: string, value: number | { label: string; values: ReadonlyMap<string, number> }): void {
    this.#head(name, help, 'counter');
    if (typeof value === 'number') this.#sample(`${name}_total`, '', value);
    else for (const [key, count] of value.values) this.#sample(`${name}_total`, `${value.label}="${key}"`, count);
  }

  histogram(name: string, help: string, histogram: Histogram): void {
    this.#head(name, help, 'histogram');
    let sum = 0;
    for (const [index, bound] of histogram.bounds.entries()) {
      sum += histogram.counts[index]!;
      this.#sample(`${name}_bucket`, `le="${Number.isInteger(bound) ? bound.toFixed(1) : bound}"`, sum);
    }
    this.#sample(`${name}_bucket`, 'le="+Inf"', histogram.count);
    this.#sample(`${name}_sum`, '', histogram.sum);
    this.#sample(`${name}_count`, '', histogram.count);
  }

  /** A gauge of value 1 whose labels are the information. */
  info(name: string, help: string, labels: Record<string, string>): void {
    this.#head(name, help, 'gauge');
    const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
    this.#lines.push(`${name}{${pairs.join(',')}} 1.0`);
  }

  /** A sample without the common labels. */
  bare(name: string, help: string, value: number): void {
    this.#head(name, help, 'gauge');
    this.#lines.push(`${name} ${value}`);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #head(name: string, help: string, type: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, extra: string, value: number): void {
    const labels = extra === '' ? this.#labels : `${this.#labels},${extra}`;
    this.#lines.push(`${name}{${labels}} ${Number.isInteger(value) ? value.toFixed(1) : value}`);
  }
}

export class Histogram {
  readonly bounds: readonly number[];
  /** Observations by the first bound they do not exceed; those above all bounds are in `count` only. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length);
  }

  observe(value: number, times = 1): void {
    this.sum += value * times;
    this.count += times;
    for (let index = 0; index < this.bounds.length; index += 1) {
      if (value <= this.bounds[index]!) {
        this.counts[index]! += times;
        return;
      }
    }
  }
}

export function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
