import { describe, expect, it } from 'vitest';
import { escapeLabel, Histogram, MetricText } from '../../../src/mocker/metric-text.ts';
import { parsePrometheusText, sumOf } from '../../../src/telemetry/prometheus-text.ts';

describe('metric text', () => {
  it('writes what our own reader reads', () => {
    const text = new MetricText(`engine="0",model_name="${escapeLabel('a"b\\c\nd')}"`);
    text.gauge('g', 'A gauge.', 0.5);
    text.counter('c', 'A counter.', 7);
    text.counter('l', 'By label.', {
      label: 'source',
      values: new Map([
        ['x', 1],
        ['y', 2],
      ]),
    });
    text.info('i', 'Facts.', { block_size: '64' });
    const samples = parsePrometheusText(text.toString());
    expect(samples[0]).toEqual({ name: 'g', labels: { engine: '0', model_name: 'a"b\\c\nd' }, value: 0.5 });
    expect([sumOf(samples, 'c_total'), sumOf(samples, 'l_total')]).toEqual([7, 3]);
    expect(samples.at(-1)).toEqual({ name: 'i', labels: { block_size: '64' }, value: 1 });
  });

  it('counts each observation in its bucket and all above', () => {
    const histogram = new Histogram([1, 2, 5]);
    for (const value of [0.5, 1, 1.5, 7]) histogram.observe(value);
    const text = new MetricText('e="0"');
    text.histogram('h', 'A histogram.', histogram);
    const buckets = parsePrometheusText(text.toString())
      .filter((sample) => sample.name === 'h_bucket')
      .map((sample) => [sample.labels['le'], sample.value]);
    expect(buckets).toEqual([
      ['1.0', 2],
      ['2.0', 3],
      ['5.0', 3],
      ['+Inf', 4],
    ]);
    expect([histogram.sum, histogram.count]).toEqual([10, 4]);
  });
});
