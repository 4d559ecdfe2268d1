import { describe, expect, it } from 'vitest';
import { MetricRegistry } from '../../../src/telemetry/metric-registry.ts';
import { parsePrometheusText } from '../../../src/telemetry/prometheus-text.ts';

describe('MetricRegistry', () => {
  it('writes what the Prometheus reader reads', () => {
    const registry = new MetricRegistry();
    registry.counter('plain_total', 'No labels.').add(2);
    const labelled = registry.counter('labelled_total', 'Two labels.', ['a', 'b']);
    labelled.add(1, ['x"\\\n', 'y']);
    labelled.add(2, ['x"\\\n', 'y']);
    const histogram = registry.histogram('seconds', 'Times.', [0.1, 1], ['model']);
    histogram.observe(0.1, ['m']);
    histogram.observe(0.5, ['m'], 3);
    histogram.observe(9, ['m']);
    const gauge = registry.gauge('now', 'Set on collect.');
    registry.onCollect(() => gauge.set(7));
    const samples = parsePrometheusText(registry.expose());
    const value = (name: string, le?: string) =>
      samples.find((sample) => sample.name === name && (le === undefined || sample.labels['le'] === le))?.value;
    expect([value('plain_total'), value('labelled_total'), value('now')]).toEqual([2, 3, 7]);
    expect(samples.find(({ name }) => name === 'labelled_total')?.labels).toEqual({ a: 'x"\\\n', b: 'y' });
    expect(['0.1', '1', '+Inf'].map((le) => value('seconds_bucket', le))).toEqual([1, 4, 5]);
    expect([value('seconds_sum'), value('seconds_count')]).toEqual([10.6, 5]);
  });

  it('forgets series that are cleared', () => {
    const registry = new MetricRegistry();
    const gauge = registry.gauge('workers', 'By name.', ['worker']);
    gauge.set(1, ['a']);
    gauge.clear();
    expect(registry.expose()).not.toContain('worker=');
  });
});
