/** What the user looks at: nothing of it is known to the deployment. */
export interface UiState {
  pane: Pane;
  /** Covers the pane. */
  overlay: 'help' | 'details' | null;
  groupBy: 'role' | 'host';
  /** Name of the chosen process; null: the first. */
  selected: string | null;
  dialog: Dialog | null;
  prompt: Prompt | null;
  log: {
    /** Null: that of the chosen process. */
    name: string | null;
    search: string;
    filter: string;
    /** Long lines go on in the next row. */
    wraps: boolean;
    /** `seq` of the lowest line shown; null: the newest, as it comes. */
    anchor: number | null;
  };
  /** As `log.anchor`. */
  eventAnchor: number | null;
  /** Index of the chosen routing decision; 0 is the newest. */
  decision: number;
}

export const PANES = ['processes', 'traffic', 'events', 'logs', 'routing'] as const;
export type Pane = (typeof PANES)[number];

/** A question that one key answers. */
export interface Dialog {
  question: string;
  effect: Effect;
}

export interface Prompt {
  kind: 'search' | 'filter' | 'scale';
  text: string;
  /** Why what is typed cannot be done. */
  problem?: string;
}

/** What a key asks of the world outside the screen. */
export type Effect =
  /** Ctrl-C: what it means is the command's business. */
  | { type: 'interrupt' }
  | { type: 'detach' }
  | { type: 'stop'; force: boolean }
  | { type: 'drain' | 'restart'; process: string }
  /** As `dynamo scale` takes them: `prefill=3`. */
  | { type: 'scale'; targets: string[] }
  | { type: 'rolling' }
  | { type: 'adopt' };

export const INITIAL_UI: UiState = {
  pane: 'processes',
  overlay: null,
  groupBy: 'role',
  selected: null,
  dialog: null,
  prompt: null,
  log: { name: null, search: '', filter: '', wraps: false, anchor: null },
  eventAnchor: null,
  decision: 0,
};

/** What a key needs to know of what is on the screen. */
export interface UiFacts {
  /** In the order they are drawn. */
  processes: readonly string[];
  logs: readonly string[];
  /** `seq` of the log lines that pass the filter, and of those that match the search. */
  logSeqs: readonly number[];
  matchSeqs: readonly number[];
  eventSeqs: readonly number[];
  decisions: number;
  /** What a scaling of the chosen process's group would be typed as, with its number now: `decode=2`. Null for no workers. */
  scaleText: string | null;
  /** Rows of the list that is shown. */
  pageRows: number;
  /** A controller can be asked to drain and restart. */
  canAct: boolean;
  unattended: boolean;
  /** Nothing has stopped it and nothing is stopping it. */
  up: boolean;
  stopping: boolean;
  /** Leaving stops it. */
  ephemeral: boolean;
}

/** The process that acts and details are about. */
export function chosenProcess(state: UiState, processes: readonly string[]): string | null {
  return state.selected !== null && processes.includes(state.selected) ? state.selected : (processes[0] ?? null);
}

/** The log that is shown. */
export function chosenLog(state: UiState, processes: readonly string[]): string | null {
  return state.log.name ?? chosenProcess(state, processes);
}
