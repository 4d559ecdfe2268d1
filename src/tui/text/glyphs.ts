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

/** By the locale, as the C library reads it: the first of these that is set decides. */
export function glyphsFor(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Glyphs {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/i.test(locale) || platform === 'darwin' ? UNICODE : ASCII;
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
