import type { LogLine } from './deployment-view.ts';

/** Lines that hold the filter's text, whatever its case. */
export function filterLines(lines: readonly LogLine[], filter: string): readonly LogLine[] {
  return filter === '' ? lines : lines.filter((line) => holds(line.text, filter));
}

export const holds = (text: string, wanted: string): boolean =>
  wanted !== '' && text.toLowerCase().includes(wanted.toLowerCase());

/** `text` cut at every occurrence of `wanted`; the pieces at odd places are the occurrences. */
export function cutAt(text: string, wanted: string): string[] {
  if (wanted === '') return [text];
  const lower = text.toLowerCase();
  const needle = wanted.toLowerCase();
  if (lower.length !== text.length) return [text]; // a case that changes the length: no marks
  const pieces: string[] = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
    pieces.push(text.slice(from, at), text.slice(at, at + needle.length));
    from = at + needle.length;
  }
  return [...pieces, text.slice(from)];
}
