/** A text that recipe values come from: a file, or the value of one `--set`. */
export interface Source {
  /** As shown to people: a path, or `--set #1`. */
  name: string;
  text: string;
}

/** A stretch of a source: offsets in UTF-16 units, `end` exclusive. */
export interface Place {
  source: Source;
  start: number;
  end: number;
}

export interface Position {
  /** Both count from 1. */
  line: number;
  column: number;
}

const LONGEST_SHOWN = 100;

export function positionOf(place: Place): Position {
  const before = place.source.text.slice(0, place.start);
  const line = before.split('\n').length;
  return { line, column: place.start - (before.lastIndexOf('\n') + 1) + 1 };
}

/** `recipe.yaml:3:5`, ready for an editor to jump to. */
export function describePlace(place: Place): string {
  const { line, column } = positionOf(place);
  return `${place.source.name}:${line}:${column}`;
}

/** The source line with its number, and a line of carets under the place. */
export function excerptOf(place: Place): [string, string] {
  const { line, column } = positionOf(place);
  const whole = (place.source.text.split('\n')[line - 1] ?? '').replace(/\r$/, '');
  // Long lines (a recipe written as one line of JSON) are shown around the place only.
  const from = column > LONGEST_SHOWN - 20 ? column - 40 : 0;
  const shown = printable(whole.slice(from, from + LONGEST_SHOWN));
  const caretAt = column - 1 - from;
  const length = Math.max(1, Math.min(place.end - place.start, shown.length - caretAt));
  const gutter = String(line).padStart(5);
  return [`${gutter} | ${shown}`, `${' '.repeat(gutter.length)} | ${' '.repeat(caretAt)}${'^'.repeat(length)}`];
}

function printable(text: string): string {
  // Control characters would move the cursor and so shift the carets.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f]/g, ' ');
}
