import { Box } from 'ink';
import type { ViewState } from '../deployment-view.ts';
import { layOutOverview } from '../layout.ts';
import { processRows } from '../process-rows.ts';
import { startPhases } from '../text/start-phases.ts';
import { ErrorReport } from './error-report.tsx';
import { EventList } from './event-list.tsx';
import { Trouble, troubleOf } from './process-details.tsx';
import { ProcessTable } from './process-table.tsx';
import { SectionTitle } from './section-title.tsx';
import { StartUp } from './start-up.tsx';
import { TrafficStrip } from './traffic-strip.tsx';

export interface OverviewProps {
  view: ViewState;
  groupBy: 'role' | 'host';
  chosen: string | null;
  width: number;
  rows: number;
}

/** The first pane: the start while it lasts, then processes, traffic and the newest events, as far as they fit. */
export function Overview(props: OverviewProps) {
  const { state, error } = props.view.snapshot;
  if (state === 'starting') return <Starting {...props} />;
  if (state === 'failed' && error) return <Failed {...props} />;
  return <Running {...props} />;
}

function Starting({ view, chosen, width, rows }: OverviewProps) {
  const { processes, pairs } = view.snapshot;
  const phases = processes.filter((process) => startPhases(process, 0) !== undefined).length;
  const needed = processes.length + phases + 1 + (pairs.length > 0 ? pairs.length + 2 : 0);
  const startRows = Math.min(rows, needed);
  const eventRows = rows - startRows >= 4 ? rows - startRows : 0;
  return (
    <Box flexDirection="column" height={rows}>
      <StartUp view={view} chosen={chosen} width={width} rows={eventRows > 0 ? startRows : rows} />
      {eventRows > 0 ? <RecentEvents view={view} width={width} rows={eventRows} /> : null}
    </Box>
  );
}

function Failed({ view, groupBy, chosen, width, rows }: OverviewProps) {
  const error = view.snapshot.error!;
  const errorRows = Math.min(error.details.length + 3, Math.max(3, rows - 4));
  const tableRows = Math.min(processRows(view, groupBy).length + 1, rows - errorRows);
  const eventRows = rows - errorRows - tableRows >= 4 ? rows - errorRows - tableRows : 0;
  return (
    <Box flexDirection="column" height={rows}>
      <ErrorReport error={error} width={width} rows={errorRows} />
      {tableRows > 1 ? (
        <ProcessTable view={view} groupBy={groupBy} chosen={chosen} width={width} rows={tableRows} />
      ) : null}
      {eventRows > 0 ? <RecentEvents view={view} width={width} rows={eventRows} /> : null}
    </Box>
  );
}

function Running({ view, groupBy, chosen, width, rows }: OverviewProps) {
  const process = view.snapshot.processes.find((entry) => entry.name === chosen);
  const trouble = process ? troubleOf(process).length : 0;
  const parts = layOutOverview(rows, processRows(view, groupBy).length + 1, trouble);
  return (
    <Box flexDirection="column" height={rows}>
      <ProcessTable view={view} groupBy={groupBy} chosen={chosen} width={width} rows={parts.table} />
      {parts.details > 0 && process ? <Trouble process={process} width={width} /> : null}
      {parts.traffic > 0 ? <TrafficStrip view={view} width={width} /> : null}
      {parts.events > 0 ? <RecentEvents view={view} width={width} rows={parts.events} /> : null}
    </Box>
  );
}

function RecentEvents({ view, width, rows }: { view: ViewState; width: number; rows: number }) {
  return (
    <Box flexDirection="column" height={rows}>
      <SectionTitle title="Events" width={width} />
      <EventList view={view} anchor={null} width={width} rows={rows - 1} />
    </Box>
  );
}
