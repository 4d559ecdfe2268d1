import { displayWidth } from './width.ts';

/** A text in lines of at most `width` cells: between words where that goes, inside a longer word (a path) where it does not. Pure. */
export function wrapText(text: string, width: number): string[] {
  const room = Math.max(1, width);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\s)/)) {
    if (displayWidth(line + word.trimEnd()) <= room) {
      line += word;
      continue;
    }
    if (line !== '') lines.push(line.trimEnd());
    line = '';
    for (const char of word) {
      if (displayWidth(line + char) > room && char.trim() !== '') {
        lines.push(line);
        line = '';
      }
      line += char;
    }
  }
  lines.push(line.trimEnd());
  return lines;
}
