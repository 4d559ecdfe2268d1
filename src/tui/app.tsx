import { useInput, useWindowSize } from 'ink';
import { useEffect, useReducer, useRef } from 'react';
import { Screen } from './components/screen.tsx';
import type { DeploymentView } from './deployment-view.ts';
import { keysOf } from './ink-keys.ts';
import { pressKey } from './press-key.ts';
import type { ScreenMode } from './screen-mode.ts';
import { type Theme, ThemeContext } from './theme.ts';
import { factsOf } from './ui-facts.ts';
import { chosenLog, type Effect, INITIAL_UI, type UiState } from './ui-state.ts';
import { useDeployment } from './use-deployment.ts';

export interface AppProps {
  view: DeploymentView;
  theme: Theme;
  mode: ScreenMode;
  ephemeral: boolean;
  onEffect(effect: Effect): void;
}

/** Joins the view, the keys and the screen: the only component with state and effects. */
export function App({ view, theme, mode, ephemeral, onEffect }: AppProps) {
  const state = useDeployment(view);
  const { columns, rows } = useWindowSize();
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const ui = useRef<UiState>(INITIAL_UI);

  useInput((input, key) => {
    // Several keys may come at once; each sees what the one before has done.
    for (const pressed of keysOf(input, key)) {
      if (view.current().note) view.say(null);
      const { state: next, effect } = pressKey(
        ui.current,
        pressed,
        factsOf(view.current(), ui.current, { rows, ephemeral }),
      );
      ui.current = next;
      if (effect) onEffect(effect);
    }
    redraw();
  });

  const { pane } = ui.current;
  const log = pane === 'logs' ? chosenLog(ui.current, factsOf(state, ui.current, { rows, ephemeral }).processes) : null;
  useEffect(() => view.followLog(log), [view, log]);
  useEffect(() => view.followDecisions(pane === 'routing'), [view, pane]);

  return (
    <ThemeContext value={theme}>
      <Screen view={state} ui={ui.current} mode={mode} columns={columns} rows={rows} />
    </ThemeContext>
  );
}
