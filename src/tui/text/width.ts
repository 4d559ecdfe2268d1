/** Cells a text takes in a terminal: two for wide East Asian characters and emoji, none for marks that combine. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** The beginning of `text` that fits into `width` cells; a cut is marked by `ellipsis`, one cell wide. */
export function clip(text: string, width: number, ellipsis: string): string {
  if (displayWidth(text) <= width) return text;
  if (width <= 0) return '';
  let kept = '';
  let used = 0;
  for (const char of text) {
    const next = charWidth(char);
    if (used + next > width - 1) break;
    kept += char;
    used += next;
  }
  return kept + ellipsis;
}

/** Exactly `width` cells: clipped, or padded on the right (`left` aligned) or the left. */
export function pad(text: string, width: number, align: 'left' | 'right', ellipsis: string): string {
  const fitted = clip(text, width, ellipsis);
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(fitted)));
  return align === 'left' ? fitted + blanks : blanks + fitted;
}

const PLAIN = /^[\x20-\x7e]*$/;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /\p{M}|\p{Cf}/u;

function charWidth(char: string): number {
  if (NO_WIDTH.test(char)) return 0;
  return WIDE.test(char) || char.codePointAt(0)! >= 0x20000 ? 2 : 1;
}
