import { Box } from 'ink';
import type { ViewState } from '../deployment-view.ts';
import { pageOf } from '../scroll.ts';
import { eventTone } from '../state-tone.ts';
import { cleanText } from '../text/clean-text.ts';
import { formatClock } from '../text/format.ts';
import { pad } from '../text/width.ts';
import { useTheme } from '../theme.ts';
import { Line } from './line.tsx';

/** Transitions with their reasons, the newest at the bottom. */
export function EventList({
  view,
  anchor,
  width,
  rows,
}: {
  view: ViewState;
  anchor: number | null;
  width: number;
  rows: number;
}) {
  const { glyphs } = useTheme();
  const page = pageOf(view.events, anchor, rows);
  const nameWidth = Math.min(20, Math.max(11, ...view.snapshot.processes.map((process) => process.name.length)));
  return (
    <Box flexDirection="column" height={rows}>
      {page.length === 0 ? <Line width={width} spans={[{ text: 'No events yet.', tone: 'dim' }]} /> : null}
      {page.map((event) => (
        <Line
          key={event.seq}
          width={width}
          spans={[
            { text: `${formatClock(event.at)}  `, tone: 'dim' },
            { text: `${pad(event.process ?? event.source, nameWidth, 'left', glyphs.ellipsis)}  ` },
            { text: cleanText(event.message), tone: eventTone(event.type, event.message) },
          ]}
        />
      ))}
    </Box>
  );
}
