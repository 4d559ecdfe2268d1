import { messageOf } from '../base/errors.ts';
import { parseScaleTarget } from '../plan/scale-targets.ts';
import { nextAnchor } from './scroll.ts';
import { chosenLog, chosenProcess, type Effect, PANES, type UiFacts, type UiState } from './ui-state.ts';

/** A key as the terminal tells it: a name (`up`, `tab`, `ctrl-c`) or one typed character. */
export type Key = { name: KeyName } | { char: string };
export type KeyName =
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'page-up'
  | 'page-down'
  | 'home'
  | 'end'
  | 'enter'
  | 'escape'
  | 'tab'
  | 'back-tab'
  | 'backspace'
  | 'ctrl-c';

export interface Pressed {
  state: UiState;
  effect?: Effect;
}

/** What a key does. Pure: the same state, key and facts give the same answer. */
export function pressKey(state: UiState, key: Key, facts: UiFacts): Pressed {
  if ('name' in key && key.name === 'ctrl-c')
    return { state: { ...state, dialog: null, prompt: null }, effect: { type: 'interrupt' } };
  if (state.dialog) return answerDialog(state, key);
  if (state.prompt) return { state: typeIntoPrompt(state, key, facts) };
  if ('char' in key) return pressChar(state, key.char, facts);
  return { state: pressNamed(state, key.name, facts) };
}

function answerDialog(state: UiState, key: Key): Pressed {
  const closed = { ...state, dialog: null };
  if ('char' in key && key.char.toLowerCase() === 'y') return { state: closed, effect: state.dialog!.effect };
  const refuses = 'char' in key ? ['n', 'N', 'q'].includes(key.char) : key.name === 'escape' || key.name === 'enter';
  return { state: refuses ? closed : state };
}

function typeIntoPrompt(state: UiState, key: Key, facts: UiFacts): UiState {
  const prompt = state.prompt!;
  if (prompt.kind === 'scale') return typeScale(state, key);
  if ('char' in key) return applyPrompt({ ...state, prompt: { ...prompt, text: prompt.text + key.char } });
  switch (key.name) {
    case 'backspace':
      return prompt.text === ''
        ? { ...state, prompt: null }
        : applyPrompt({ ...state, prompt: { ...prompt, text: [...prompt.text].slice(0, -1).join('') } });
    case 'enter': {
      const closed = { ...state, prompt: null };
      return prompt.kind === 'search' && prompt.text !== '' ? jumpToMatch(closed, facts, 'older') : closed;
    }
    case 'escape':
      return applyPrompt({ ...state, prompt: { ...prompt, text: '' } }, null);
    default:
      return state;
  }
}

/** Numbers of workers, as `dynamo scale` takes them; a return asks before anything happens. */
function typeScale(state: UiState, key: Key): UiState {
  const { text } = state.prompt!;
  const type = (typed: string): UiState => ({ ...state, prompt: { kind: 'scale', text: typed } });
  if ('char' in key) return type(text + key.char);
  switch (key.name) {
    case 'backspace':
      return text === '' ? { ...state, prompt: null } : type([...text].slice(0, -1).join(''));
    case 'escape':
      return { ...state, prompt: null };
    case 'enter': {
      const targets = text.split(/[\s,]+/).filter((word) => word !== '');
      if (targets.length === 0) return { ...state, prompt: null };
      try {
        targets.forEach(parseScaleTarget);
      } catch (error) {
        return { ...state, prompt: { kind: 'scale', text, problem: messageOf(error) } };
      }
      const question = `Scale to ${targets.join(' ')}? Workers that go drain first.`;
      return { ...state, prompt: null, dialog: { question, effect: { type: 'scale', targets } } };
    }
    default:
      return state;
  }
}

/** What is typed takes effect at once. */
function applyPrompt(state: UiState, prompt = state.prompt): UiState {
  const { kind, text } = state.prompt!;
  const log = kind === 'search' ? { ...state.log, search: text } : { ...state.log, filter: text, anchor: null };
  return { ...state, prompt, log };
}

function pressNamed(state: UiState, name: KeyName, facts: UiFacts): UiState {
  switch (name) {
    case 'tab':
      return turnPane(state, 1);
    case 'back-tab':
      return turnPane(state, -1);
    case 'escape':
      return back(state);
    case 'enter':
      if (state.overlay) return { ...state, overlay: null };
      return state.pane === 'processes' ? { ...state, overlay: 'details' } : state;
    case 'up':
      return move(state, -1, facts);
    case 'down':
      return move(state, 1, facts);
    case 'page-up':
      return move(state, -Math.max(1, facts.pageRows - 1), facts);
    case 'page-down':
      return move(state, Math.max(1, facts.pageRows - 1), facts);
    case 'home':
      return move(state, Number.NEGATIVE_INFINITY, facts);
    case 'end':
      return move(state, Number.POSITIVE_INFINITY, facts);
    case 'left':
      return state.pane === 'logs' ? turnLog(state, -1, facts) : turnPane(state, -1);
    case 'right':
      return state.pane === 'logs' ? turnLog(state, 1, facts) : turnPane(state, 1);
    default:
      return state;
  }
}

function pressChar(state: UiState, char: string, facts: UiFacts): Pressed {
  const only = (next: UiState): Pressed => ({ state: next });
  const pane = PANES[Number(char) - 1];
  if (pane) return only({ ...state, pane, overlay: null });
  switch (char) {
    case 'q':
      if (state.overlay) return only({ ...state, overlay: null });
      if (facts.ephemeral && facts.up) return ask(state, 'Leaving stops this deployment. Leave?', { type: 'detach' });
      return { state, effect: { type: 'detach' } };
    case '?':
      return only({ ...state, overlay: state.overlay === 'help' ? null : 'help' });
    case 'j':
      return only(move(state, 1, facts));
    case 'k':
      return only(move(state, -1, facts));
    case 'g':
      return only(move(state, Number.NEGATIVE_INFINITY, facts));
    case 'G':
    case 'f':
      return only(move(state, Number.POSITIVE_INFINITY, facts));
    case 'o':
      return only({ ...state, groupBy: state.groupBy === 'role' ? 'host' : 'role' });
    case 'l':
      return only(openLog(state, facts));
    case 'w':
      return only({ ...state, log: { ...state.log, wraps: !state.log.wraps } });
    case '[':
      return only(turnLog(state, -1, facts));
    case ']':
      return only(turnLog(state, 1, facts));
    case '/':
      return only(openPrompt(state, 'search'));
    case '&':
      return only(openPrompt(state, 'filter'));
    case 'n':
      return only(jumpToMatch(state, facts, 'older'));
    case 'N':
      return only(jumpToMatch(state, facts, 'newer'));
    case 'r':
      return act(state, facts, 'restart');
    case 'd':
      return act(state, facts, 'drain');
    case '+':
      return only(openScale(state, facts));
    case 'R':
      if (!facts.canAct) return { state };
      return ask(state, 'Restart everything, one process after the other?', { type: 'rolling' });
    case 's':
      return stop(state, facts);
    case 'a':
      return facts.unattended ? { state, effect: { type: 'adopt' } } : { state };
    default:
      return { state };
  }
}

const ask = (state: UiState, question: string, effect: Effect): Pressed => ({
  state: { ...state, overlay: null, dialog: { question, effect } },
});

function act(state: UiState, facts: UiFacts, type: 'drain' | 'restart'): Pressed {
  const process = chosenProcess(state, facts.processes);
  if (process === null || !facts.canAct) return { state };
  const question =
    type === 'drain' ? `Take ${process} out of service?` : `Restart ${process}? It drains first, then starts anew.`;
  return ask(state, question, { type, process });
}

function stop(state: UiState, facts: UiFacts): Pressed {
  if (facts.stopping) return ask(state, 'Stop by force? Requests in flight are lost.', { type: 'stop', force: true });
  return facts.up ? ask(state, 'Stop the deployment? It drains first.', { type: 'stop', force: false }) : { state };
}

function turnPane(state: UiState, by: number): UiState {
  const index = (PANES.indexOf(state.pane) + by + PANES.length) % PANES.length;
  return { ...state, pane: PANES[index]!, overlay: null };
}

/** Closes the topmost thing: the cover, the search, the filter; then back to where one began. */
function back(state: UiState): UiState {
  if (state.overlay) return { ...state, overlay: null };
  if (state.pane === 'logs' && state.log.search !== '') return { ...state, log: { ...state.log, search: '' } };
  if (state.pane === 'logs' && state.log.filter !== '')
    return { ...state, log: { ...state.log, filter: '', anchor: null } };
  return { ...state, pane: 'processes' };
}

function move(state: UiState, by: number, facts: UiFacts): UiState {
  switch (state.pane) {
    case 'processes': {
      const { processes } = facts;
      const chosen = chosenProcess(state, processes);
      if (chosen === null) return state;
      const index = Math.min(processes.length - 1, Math.max(0, processes.indexOf(chosen) + by));
      return { ...state, selected: processes[index]! };
    }
    case 'events':
      return { ...state, eventAnchor: nextAnchor(facts.eventSeqs, state.eventAnchor, by, facts.pageRows) };
    case 'logs':
      return {
        ...state,
        log: { ...state.log, anchor: nextAnchor(facts.logSeqs, state.log.anchor, by, facts.pageRows) },
      };
    case 'routing':
      return { ...state, decision: Math.min(Math.max(0, facts.decisions - 1), Math.max(0, state.decision + by)) };
    case 'traffic':
      return state;
  }
}

function openLog(state: UiState, facts: UiFacts): UiState {
  const name = chosenProcess(state, facts.processes);
  return { ...state, pane: 'logs', overlay: null, log: { ...state.log, name, anchor: null } };
}

function turnLog(state: UiState, by: number, facts: UiFacts): UiState {
  if (facts.logs.length === 0) return state;
  const index = facts.logs.indexOf(chosenLog(state, facts.processes) ?? '');
  const name = facts.logs[(index + by + facts.logs.length) % facts.logs.length]!;
  const selected = facts.processes.includes(name) ? name : state.selected;
  return { ...state, selected, log: { ...state.log, name, anchor: null } };
}

function openPrompt(state: UiState, kind: 'search' | 'filter'): UiState {
  if (state.pane !== 'logs') return state;
  return { ...state, overlay: null, prompt: { kind, text: kind === 'search' ? '' : state.log.filter } };
}

function openScale(state: UiState, { canAct, scaleText }: UiFacts): UiState {
  if (!canAct || scaleText === null) return state;
  return { ...state, overlay: null, prompt: { kind: 'scale', text: scaleText } };
}

/** To the next line that matches; stays where there is none. */
function jumpToMatch(state: UiState, facts: UiFacts, direction: 'older' | 'newer'): UiState {
  if (state.pane !== 'logs') return state;
  const from = state.log.anchor ?? Number.POSITIVE_INFINITY;
  const target =
    direction === 'older' ? facts.matchSeqs.findLast((seq) => seq < from) : facts.matchSeqs.find((seq) => seq > from);
  return target === undefined ? state : { ...state, log: { ...state.log, anchor: target } };
}
