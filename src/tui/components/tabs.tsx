import type { Span } from '../text/fit-spans.ts';
import { useTheme } from '../theme.ts';
import { PANES, type UiState } from '../ui-state.ts';
import { Line } from './line.tsx';

const TITLES: Record<UiState['pane'], string> = {
  processes: 'Processes',
  traffic: 'Traffic',
  events: 'Events',
  logs: 'Logs',
  routing: 'Routing',
};

/** The panes, the open one in brackets, on a rule. */
export function Tabs({ pane, width }: { pane: UiState['pane']; width: number }) {
  const { rule } = useTheme().glyphs;
  const spans: Span[] = [];
  for (const [index, name] of PANES.entries()) {
    if (index > 0) spans.push({ text: rule, tone: 'dim' });
    const title = `${index + 1} ${TITLES[name]}`;
    spans.push(name === pane ? { text: `[${title}]`, tone: 'strong' } : { text: ` ${title} `, tone: 'dim' });
  }
  const used = spans.reduce((sum, { text }) => sum + text.length, 0);
  spans.push({ text: rule.repeat(Math.max(0, width - used)), tone: 'dim' });
  return <Line width={width} spans={spans} />;
}
