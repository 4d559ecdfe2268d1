import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { headerRows } from './alerts.ts';
import type { ViewState } from './deployment-view.ts';
import { filterLines, holds } from './log-lines.ts';
import { processOrder } from './process-rows.ts';
import type { UiFacts, UiState } from './ui-state.ts';

/** Rows of the pane: all but header, tabs and footer. */
export const paneRows = (view: ViewState, rows: number): number => Math.max(1, rows - headerRows(view.snapshot) - 2);

/** What keys need to know of the screen as it is drawn. Pure. */
export function factsOf(view: ViewState, ui: UiState, screen: { rows: number; ephemeral: boolean }): UiFacts {
  const { snapshot } = view;
  const rows = paneRows(view, screen.rows);
  const lines = filterLines(view.log.lines, ui.log.filter);
  const processes = processOrder(view, ui.groupBy);
  return {
    processes,
    logs: [...processes, ...snapshot.agents.map(({ host }) => `agent-${host}`), 'controller'],
    logSeqs: lines.map((line) => line.seq),
    matchSeqs: lines.flatMap((line) => (holds(line.text, ui.log.search) ? [line.seq] : [])),
    eventSeqs: view.events.map((event) => event.seq),
    decisions: view.decisions.length,
    pageRows: ui.pane === 'logs' ? rows - 1 : rows,
    canAct: canAct(snapshot),
    unattended: snapshot.unattended,
    up: isUp(snapshot),
    stopping: snapshot.state === 'stopping',
    ephemeral: screen.ephemeral,
  };
}

/** Nothing has stopped it and nothing is stopping it. */
export const isUp = ({ state }: DeploymentSnapshot): boolean =>
  state === 'starting' || state === 'ready' || state === 'degraded';

/** A controller can be asked to drain and restart. */
export const canAct = ({ state, controller }: DeploymentSnapshot): boolean =>
  controller !== null && (state === 'ready' || state === 'degraded');
