import type { TextProps } from 'ink';
import { createContext, useContext } from 'react';
import { type Glyphs, UNICODE } from './text/glyphs.ts';

/** What a piece of text means; the theme decides how it looks. Meaning is never in the colour alone. */
export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'dim' | 'strong' | 'accent' | 'chosen';

export interface Theme {
  color: boolean;
  glyphs: Glyphs;
}

const WITH_COLOR: Record<Tone, Partial<TextProps>> = {
  plain: {},
  good: { color: 'green' },
  warn: { color: 'yellow' },
  bad: { color: 'red', bold: true },
  dim: { dimColor: true },
  strong: { bold: true },
  accent: { color: 'cyan' },
  chosen: { inverse: true },
};
/** https://no-color.org leaves bold, dim and inverse. */
const WITHOUT_COLOR: Record<Tone, Partial<TextProps>> = {
  ...WITH_COLOR,
  good: {},
  warn: { bold: true },
  bad: { bold: true },
  accent: {},
};

export const toneProps = (theme: Theme, tone: Tone): Partial<TextProps> =>
  (theme.color ? WITH_COLOR : WITHOUT_COLOR)[tone];

export const ThemeContext = createContext<Theme>({ color: true, glyphs: UNICODE });

export const useTheme = (): Theme => useContext(ThemeContext);
