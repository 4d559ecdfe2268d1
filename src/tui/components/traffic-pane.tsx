import { Box } from 'ink';
import { TRAFFIC_STEP_MS } from '../data/traffic.ts';
import type { ViewState } from '../deployment-view.ts';
import { barRows } from '../text/sparkline.ts';
import { useTheme } from '../theme.ts';
import { latest, peak, trafficSeries } from '../traffic-series.ts';
import { Line } from './line.tsx';

const LABEL_WIDTH = 21;
const PEAK_WIDTH = 13;
const TALLEST = 4;

/** Every quantity as a row of bars over the whole width; several rows each where the screen is tall. */
export function TrafficPane({ view, width, rows }: { view: ViewState; width: number; rows: number }) {
  const { glyphs } = useTheme();
  const all = trafficSeries(view.traffic);
  const height = Math.max(1, Math.min(TALLEST, Math.floor((rows - 1) / all.length)));
  const hasPeak = width >= 60;
  const barWidth = width - LABEL_WIDTH - (hasPeak ? PEAK_WIDTH : 0);
  const seen = view.traffic.some((point) => (point.requestsPerSecond ?? 0) > 0 || (point.active ?? 0) > 0);
  return (
    <Box flexDirection="column" height={rows}>
      {all.slice(0, Math.max(1, rows - 1)).flatMap((series) =>
        barRows(series.values, barWidth, height, glyphs.bars).map((bars, index, drawn) => {
          const isLast = index === drawn.length - 1;
          const label = isLast ? `${series.label.padEnd(10)} ${latest(series).padStart(8)}  ` : ' '.repeat(LABEL_WIDTH);
          return (
            <Line
              // biome-ignore lint/suspicious/noArrayIndexKey: rows of a chart are their places
              key={`${series.key} ${height - index}`}
              width={width}
              spans={[
                { text: label },
                { text: bars, tone: 'accent' },
                { text: hasPeak && isLast ? ` max ${peak(series)}` : '', tone: 'dim' },
              ]}
            />
          );
        }),
      )}
      <Line
        width={width}
        spans={[
          {
            text: seen
              ? `One bar is ${TRAFFIC_STEP_MS / 1_000} s; TTFT and ITL as the clients of the frontend saw them.`
              : 'No requests yet. Press ? for one to try.',
            tone: 'dim',
          },
        ]}
      />
    </Box>
  );
}
