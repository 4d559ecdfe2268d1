import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Key, type KeyName, pressKey } from '../../../src/tui/press-key.ts';
import { type Effect, INITIAL_UI, PANES, type UiFacts, type UiState } from '../../../src/tui/ui-state.ts';

const facts: UiFacts = {
  processes: ['frontend', 'prefill-0', 'decode-0'],
  logs: ['frontend', 'prefill-0', 'decode-0', 'agent-local', 'controller'],
  logSeqs: Array.from({ length: 100 }, (_, index) => index + 1),
  matchSeqs: [10, 50, 90],
  eventSeqs: Array.from({ length: 40 }, (_, index) => index + 1),
  decisions: 5,
  scaleText: 'prefill=2',
  pageRows: 10,
  canAct: true,
  unattended: false,
  up: true,
  stopping: false,
  ephemeral: false,
};

const NAMES: Record<string, KeyName> = {
  '^C': 'ctrl-c',
  '⏎': 'enter',
  '⎋': 'escape',
  '↓': 'down',
  '↑': 'up',
  '⇥': 'tab',
  '⇤': 'back-tab',
  '→': 'right',
  '←': 'left',
  '⇞': 'page-up',
  '⇟': 'page-down',
  '⌫': 'backspace',
};
const keyOf = (text: string): Key => (NAMES[text] ? { name: NAMES[text] } : { char: text });

/** Presses keys one after the other; returns the last state and all effects. */
function press(
  keys: string,
  change: Partial<UiFacts> = {},
  from: UiState = INITIAL_UI,
): { state: UiState; effects: Effect[] } {
  const effects: Effect[] = [];
  let state = from;
  for (const key of keys.split(' ')) {
    const pressed = pressKey(state, keyOf(key === '␣' ? ' ' : key), { ...facts, ...change });
    state = pressed.state;
    if (pressed.effect) effects.push(pressed.effect);
  }
  return { state, effects };
}

describe('choosing', () => {
  it('moves through the processes in the order they are drawn, and stops at both ends', () => {
    expect(press('↓').state.selected).toBe('prefill-0');
    expect(press('j j j j').state.selected).toBe('decode-0');
    expect(press('j j k k k').state.selected).toBe('frontend');
    expect(press('G').state.selected).toBe('decode-0');
    expect(press('G g').state.selected).toBe('frontend');
  });

  it('forgets a process that is gone', () => {
    const { state } = press('G');
    expect(press('j', { processes: ['frontend', 'decode-9'] }, state).state.selected).toBe('decode-9');
    expect(press('j', { processes: [] }, state).effects).toEqual([]);
  });

  it('turns the panes round and round, and opens them by number', () => {
    expect(press('⇥').state.pane).toBe('traffic');
    expect(press('⇤').state.pane).toBe('routing');
    expect(press('⇥ ⇥ ⇥ ⇥ ⇥').state.pane).toBe('processes');
    for (const [index, pane] of PANES.entries()) expect(press(String(index + 1)).state.pane).toBe(pane);
  });

  it('covers the pane with details or help, and uncovers it before anything else', () => {
    expect(press('⏎').state.overlay).toBe('details');
    expect(press('⏎ ⏎').state.overlay).toBeNull();
    expect(press('?').state.overlay).toBe('help');
    expect(press('? q')).toMatchObject({ state: { overlay: null }, effects: [] });
    expect(press('? ⎋').state.overlay).toBeNull();
  });
});

describe('acting', () => {
  it('restarts and drains the chosen process, after a yes', () => {
    expect(press('j r').effects).toEqual([]);
    expect(press('j r').state.dialog?.question).toContain('prefill-0');
    expect(press('j r y').effects).toEqual([{ type: 'restart', process: 'prefill-0' }]);
    expect(press('d y').effects).toEqual([{ type: 'drain', process: 'frontend' }]);
  });

  it.each(['n', '⎋', '⏎', 'q'])('does nothing after %s', (no) => {
    expect(press(`r ${no}`)).toMatchObject({ state: { dialog: null }, effects: [] });
  });

  it('ignores other keys while it asks', () => {
    expect(press('r j 2 s').state).toMatchObject({ pane: 'processes', selected: null });
    expect(press('r j 2 s y').effects).toEqual([{ type: 'restart', process: 'frontend' }]);
  });

  it('scales: the role of the chosen process and its number, edited, asked, done', () => {
    expect(press('+').state.prompt).toEqual({ kind: 'scale', text: 'prefill=2' });
    expect(press('+ ⌫ 3').state.prompt?.text).toBe('prefill=3');
    const asked = press('+ ⌫ 3 ⏎');
    expect(asked.effects).toEqual([]);
    expect(asked.state).toMatchObject({ prompt: null, dialog: { question: expect.stringContaining('prefill=3') } });
    expect(press('+ ⌫ 3 ⏎ y').effects).toEqual([{ type: 'scale', targets: ['prefill=3'] }]);
    expect(press('+ ⌫ 3 ␣ d e c o d e = + 1 ⏎ y').effects).toEqual([
      { type: 'scale', targets: ['prefill=3', 'decode=+1'] },
    ]);
    expect(press('+ ⎋')).toMatchObject({ state: { prompt: null }, effects: [] });
  });

  it('says what is wrong with a scaling before anything is asked, and lets it be mended', () => {
    const { state } = press('+ ⌫ x ⏎');
    expect(state).toMatchObject({ dialog: null, prompt: { text: 'prefill=x', problem: expect.any(String) } });
    expect(press('⌫ 1', {}, state).state.prompt).toEqual({ kind: 'scale', text: 'prefill=1' });
  });

  it('restarts everything after a yes', () => {
    expect(press('R').state.dialog?.question).toContain('one process after the other');
    expect(press('R y').effects).toEqual([{ type: 'rolling' }]);
  });

  it('asks no controller that is not there', () => {
    expect(press('+ R', { canAct: false })).toMatchObject({ state: { dialog: null, prompt: null }, effects: [] });
    expect(press('+', { scaleText: null }).state.prompt).toBeNull();
    expect(press('r d', { canAct: false })).toMatchObject({ state: { dialog: null }, effects: [] });
  });

  it('stops after a yes; while it stops, by force', () => {
    expect(press('s y').effects).toEqual([{ type: 'stop', force: false }]);
    expect(press('s y', { up: false, stopping: true }).effects).toEqual([{ type: 'stop', force: true }]);
    expect(press('s y', { up: false }).effects).toEqual([]);
  });

  it('adopts only what runs unattended', () => {
    expect(press('a').effects).toEqual([]);
    expect(press('a', { unattended: true }).effects).toEqual([{ type: 'adopt' }]);
  });

  it('leaves at once, but asks where leaving stops everything', () => {
    expect(press('q').effects).toEqual([{ type: 'detach' }]);
    expect(press('q', { ephemeral: true }).effects).toEqual([]);
    expect(press('q y', { ephemeral: true }).effects).toEqual([{ type: 'detach' }]);
    expect(press('q', { ephemeral: true, up: false }).effects).toEqual([{ type: 'detach' }]);
  });

  it('passes Ctrl-C on from everywhere, each time', () => {
    expect(press('^C ^C').effects).toEqual([{ type: 'interrupt' }, { type: 'interrupt' }]);
    expect(press('r ^C')).toMatchObject({ state: { dialog: null }, effects: [{ type: 'interrupt' }] });
    expect(press('4 / x ^C')).toMatchObject({ state: { prompt: null }, effects: [{ type: 'interrupt' }] });
  });
});

describe('logs', () => {
  it('opens that of the chosen process and turns to others, the supervisors last', () => {
    expect(press('j l').state).toMatchObject({ pane: 'logs', log: { name: 'prefill-0' } });
    expect(press('l →').state.log.name).toBe('prefill-0');
    expect(press('l ←').state.log.name).toBe('controller');
    expect(press('l ]').state.selected).toBe('prefill-0');
  });

  it('stands still once scrolled and follows again at the end', () => {
    expect(press('4 k').state.log.anchor).toBe(99);
    expect(press('4 k k j j').state.log.anchor).toBeNull();
    expect(press('4 ⇞').state.log.anchor).toBe(91);
    expect(press('4 g').state.log.anchor).toBe(10);
    expect(press('4 g f').state.log.anchor).toBeNull();
  });

  it('searches while one types, then jumps to the newest match and on to older ones', () => {
    expect(press('4 / o o m').state).toMatchObject({ prompt: { text: 'oom' }, log: { search: 'oom' } });
    expect(press('4 / o ⏎').state).toMatchObject({ prompt: null, log: { search: 'o', anchor: 90 } });
    expect(press('4 / o ⏎ n n').state.log.anchor).toBe(10);
    expect(press('4 / o ⏎ n n n').state.log.anchor).toBe(10);
    expect(press('4 / o ⏎ n N').state.log.anchor).toBe(90);
    expect(press('4 / o ⏎', { matchSeqs: [] }).state.log.anchor).toBeNull();
  });

  it('filters, edits and clears', () => {
    expect(press('4 & e r ⏎').state.log.filter).toBe('er');
    expect(press('4 & e r ⌫ ⏎').state.log.filter).toBe('e');
    expect(press('4 & e r ⎋').state).toMatchObject({ prompt: null, log: { filter: '' } });
    expect(press('4 & e ⌫ ⌫').state.prompt).toBeNull();
    expect(press('4 & e ⏎ ⎋').state).toMatchObject({ pane: 'logs', log: { filter: '' } });
    expect(press('4 & e ⏎ ⎋ ⎋').state.pane).toBe('processes');
  });

  it('types keys that mean something elsewhere', () => {
    expect(press('4 / q ␣ s y').state.prompt?.text).toBe('q sy');
    expect(press('4 / q ␣ s y').effects).toEqual([]);
  });
});

describe('any keys at all', () => {
  const keys = fc.array(
    fc.oneof(fc.constantFrom(...Object.keys(NAMES)), fc.constantFrom(...'qjkgGfolrdsayn/&w?12345[]+R'.split(''))),
    { minLength: 1, maxLength: 40 },
  );

  it('leave a state that can be drawn, and never act on a process without a yes', () => {
    fc.assert(
      fc.property(keys, (pressed) => {
        const { state, effects } = press(pressed.join(' '));
        expect(PANES).toContain(state.pane);
        expect(state.decision).toBeGreaterThanOrEqual(0);
        expect(state.decision).toBeLessThan(facts.decisions);
        if (!pressed.includes('y'))
          expect(effects.filter(({ type }) => type !== 'interrupt' && type !== 'detach')).toEqual([]);
      }),
    );
  });
});
