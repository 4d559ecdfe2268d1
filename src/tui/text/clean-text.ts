import { stripVTControlCharacters } from 'node:util';

/** One line of somebody's output made safe to draw: no escape sequences, no control characters, tabs as blanks. */
export function cleanText(text: string): string {
  if (!UNSAFE.test(text)) return text;
  // After a carriage return a terminal writes over the line: what was written last is what stands there.
  const last =
    text
      .replace(/[\r\n]+$/, '')
      .split('\r')
      .at(-1) ?? '';
  return stripVTControlCharacters(last).replaceAll('\t', '    ').replace(CONTROL, '');
}

const UNSAFE = /[^\x20-\x7e\u00a0-\u{10ffff}]/u;
const CONTROL = /\p{Cc}/gu;
