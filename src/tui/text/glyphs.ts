import { showsUtf8 } from '../../base/locale.ts';

/** Characters that are not ASCII, and what stands for them where the terminal cannot show them. */
export interface Glyphs {
  ellipsis: string;
  rule: string;
  arrow: string;
  cross: string;
  dot: string;
  pointer: string;
  /** From the lowest to the highest. */
  bars: string;
}

export const UNICODE: Glyphs = {
  ellipsis: '…',
  rule: '─',
  arrow: '→',
  cross: '×',
  dot: '·',
  pointer: '›',
  bars: '▁▂▃▄▅▆▇█',
};
export const ASCII: Glyphs = {
  ellipsis: '~',
  rule: '-',
  arrow: '->',
  cross: 'x',
  dot: '-',
  pointer: '>',
  bars: '._-:=+*#',
};

/** By the locale. */
export function glyphsFor(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Glyphs {
  return showsUtf8(env, platform) ? UNICODE : ASCII;
}

/** Text of ours with the arrows and crosses the terminal can show. */
export function withGlyphs(text: string, glyphs: Glyphs): string {
  if (glyphs === UNICODE) return text;
  return text
    .replaceAll('→', glyphs.arrow)
    .replaceAll('×', glyphs.cross)
    .replaceAll('…', '...')
    .replaceAll('·', glyphs.dot);
}
