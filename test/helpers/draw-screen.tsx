import { renderToString } from 'ink';
import { Screen } from '../../src/tui/components/screen.tsx';
import type { ViewState } from '../../src/tui/deployment-view.ts';
import type { ScreenMode } from '../../src/tui/screen-mode.ts';
import { UNICODE } from '../../src/tui/text/glyphs.ts';
import { type Theme, ThemeContext } from '../../src/tui/theme.ts';
import { INITIAL_UI, type UiState } from '../../src/tui/ui-state.ts';

export interface DrawOptions {
  columns?: number;
  rows?: number;
  ui?: Partial<UiState>;
  theme?: Partial<Theme>;
  mode?: ScreenMode;
}

/** The screen as text. Times of day are masked: they depend on where the test runs. */
export function drawScreen(view: ViewState, options: DrawOptions = {}): string {
  const { columns = 80, rows = 24, mode = 'serve' } = options;
  const theme = { color: true, glyphs: UNICODE, ...options.theme };
  const text = renderToString(
    <ThemeContext value={theme}>
      <Screen view={view} ui={{ ...INITIAL_UI, ...options.ui }} mode={mode} columns={columns} rows={rows} />
    </ThemeContext>,
    { columns },
  );
  return text.replaceAll(/\b\d\d:\d\d:\d\d\b/g, 'hh:mm:ss');
}
