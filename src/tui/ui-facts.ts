import { WORKER_ROLES } from '../base/role.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';
import { headerRows } from './alerts.ts';
import type { ViewState } from './deployment-view.ts';
import { filterLines, holds } from './log-lines.ts';
import { processOrder } from './process-rows.ts';
import { chosenProcess, type UiFacts, type UiState } from './ui-state.ts';

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
    scaleText: scaleText(snapshot, chosenProcess(ui, processes)),
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

/** The role of the chosen process, or else of the first worker; followers of a worker over several hosts do not count. */
function scaleText({ processes }: DeploymentSnapshot, chosen: string | null): string | null {
  const workers = processes.filter(isLeader);
  const role = (processes.find(({ name, role }) => name === chosen && isWorkerRole(role)) ?? workers[0])?.role;
  return role === undefined ? null : `${role}=${workers.filter((worker) => worker.role === role).length}`;
}

const isWorkerRole = (role: ProcessSnapshot['role']): boolean => WORKER_ROLES.some((known) => known === role);
const isLeader = ({ name, role }: ProcessSnapshot): boolean => isWorkerRole(role) && !/-node\d+$/.test(name);
