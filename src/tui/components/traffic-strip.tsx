import { Box } from 'ink';
import type { ViewState } from '../deployment-view.ts';
import type { Span } from '../text/fit-spans.ts';
import { sparkline } from '../text/sparkline.ts';
import { useTheme } from '../theme.ts';
import { latest, trafficSeries } from '../traffic-series.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

/** Six quantities in three rows under a title, for the first pane. */
export function TrafficStrip({ view, width }: { view: ViewState; width: number }) {
  const { glyphs } = useTheme();
  const all = new Map(trafficSeries(view.traffic).map((series) => [series.key, series]));
  const half = Math.floor((width - 2) / 2);
  const cell = (key: string): Span[] => {
    const series = all.get(key)!;
    const text = `${series.label.padEnd(10)} ${latest(series).padStart(7)} `;
    return [{ text }, { text: sparkline(series.values, half - text.length, glyphs.bars), tone: 'accent' }];
  };
  const row = (left: string, right: string) => (
    <Line width={width} spans={[...cell(left), { text: ' '.repeat(width - 2 * half) }, ...cell(right)]} />
  );
  return (
    <Box flexDirection="column">
      <SectionTitle title="Traffic" width={width} />
      {row('requestsPerSecond', 'tokensPerSecond')}
      {row('ttftP50', 'itlP50')}
      {row('cacheHitRate', 'queued')}
    </Box>
  );
}
