/** Rows of each part of the first pane. */
export interface OverviewRows {
  table: number;
  details: number;
  traffic: number;
  events: number;
}

/** Below this height there is nothing to draw on. */
export const LEAST_ROWS = 8;
export const LEAST_COLUMNS = 40;

const TRAFFIC_ROWS = 3;

/**
 * Shares `rows` out: the table first, but never all of it while something else is worth a look; then details of the chosen
 * process, traffic, and events with what is left. Each part after the table has a blank or a head above it, counted here. Pure.
 */
export function layOutOverview(rows: number, tableRows: number, detailRows: number): OverviewRows {
  const reserved = rows >= 14 ? TRAFFIC_ROWS + 1 : 0;
  const table = Math.max(1, Math.min(tableRows, rows - reserved));
  let left = rows - table;
  const traffic = left >= TRAFFIC_ROWS + 1 ? TRAFFIC_ROWS + 1 : 0;
  left -= traffic;
  const details = detailRows > 0 && left >= detailRows + 1 ? detailRows + 1 : 0;
  left -= details;
  return { table, details, traffic, events: left >= 3 ? left : 0 };
}
