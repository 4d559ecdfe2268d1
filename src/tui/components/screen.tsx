import { Box } from 'ink';
import type { ViewState } from '../deployment-view.ts';
import { LEAST_COLUMNS, LEAST_ROWS } from '../layout.ts';
import { processOrder } from '../process-rows.ts';
import type { ScreenMode } from '../screen-mode.ts';
import { paneRows } from '../ui-facts.ts';
import { chosenProcess, type UiState } from '../ui-state.ts';
import { EventList } from './event-list.tsx';
import { Footer } from './footer.tsx';
import { Header } from './header.tsx';
import { HelpPane } from './help-pane.tsx';
import { Line } from './line.tsx';
import { LogPane } from './log-pane.tsx';
import { Overview } from './overview.tsx';
import { ProcessDetails } from './process-details.tsx';
import { RoutingPane } from './routing-pane.tsx';
import { Tabs } from './tabs.tsx';
import { TrafficPane } from './traffic-pane.tsx';

export interface ScreenProps {
  view: ViewState;
  ui: UiState;
  mode: ScreenMode;
  columns: number;
  rows: number;
}

/** The whole screen, exactly `rows` × `columns`. Pure: what it shows is in its properties. */
export function Screen({ view, ui, mode, columns, rows }: ScreenProps) {
  if (rows < LEAST_ROWS || columns < LEAST_COLUMNS) {
    const { name, state } = view.snapshot;
    return (
      <Box flexDirection="column" height={rows} width={columns}>
        <Line width={columns} spans={[{ text: `${name} ${state}`, tone: 'strong' }]} />
        {rows > 1 ? (
          <Line width={columns} spans={[{ text: `needs ${LEAST_COLUMNS} x ${LEAST_ROWS} cells`, tone: 'dim' }]} />
        ) : null}
      </Box>
    );
  }
  return (
    <Box flexDirection="column" height={rows} width={columns} overflow="hidden">
      <Header view={view} width={columns} />
      <Tabs pane={ui.pane} width={columns} />
      <Box flexDirection="column" height={paneRows(view, rows)} overflow="hidden">
        <Body view={view} ui={ui} mode={mode} columns={columns} rows={rows} />
      </Box>
      <Footer view={view} ui={ui} mode={mode} width={columns} />
    </Box>
  );
}

function Body({ view, ui, mode, columns, rows: screenRows }: ScreenProps) {
  const rows = paneRows(view, screenRows);
  const chosen = chosenProcess(ui, processOrder(view, ui.groupBy));
  const process = view.snapshot.processes.find((entry) => entry.name === chosen);
  if (ui.overlay === 'help') return <HelpPane snapshot={view.snapshot} mode={mode} width={columns} rows={rows} />;
  if (ui.overlay === 'details' && process)
    return <ProcessDetails view={view} process={process} width={columns} rows={rows} />;
  switch (ui.pane) {
    case 'processes':
      return <Overview view={view} groupBy={ui.groupBy} chosen={chosen} width={columns} rows={rows} />;
    case 'traffic':
      return <TrafficPane view={view} width={columns} rows={rows} />;
    case 'events':
      return <EventList view={view} anchor={ui.eventAnchor} width={columns} rows={rows} />;
    case 'logs':
      return <LogPane view={view} ui={ui} width={columns} rows={rows} />;
    case 'routing':
      return <RoutingPane view={view} chosen={ui.decision} width={columns} rows={rows} />;
  }
}
