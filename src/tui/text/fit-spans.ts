import type { Tone } from '../theme.ts';
import { type Glyphs, withGlyphs } from './glyphs.ts';
import { clip, displayWidth } from './width.ts';

/** A piece of a row and what it means. */
export interface Span {
  text: string;
  tone?: Tone;
}

/**
 * The pieces of one row, at most `width` cells: `spans` from the left, clipped; `right` at the right end while there is room.
 * With `fill`, blanks up to the end. Neighbours that look alike are joined: each piece costs drawing time. Pure.
 */
export function fitSpans(
  spans: readonly Span[],
  right: readonly Span[],
  width: number,
  glyphs: Glyphs,
  fill = false,
): Span[] {
  const end = right.map((span) => ({ ...span, text: withGlyphs(span.text, glyphs) }));
  const tail = widthOf(end) + 1 < width ? end : [];
  const room = width - (tail.length > 0 ? widthOf(tail) + 1 : 0);
  const fitted: Span[] = [];
  let used = 0;
  for (const span of spans) {
    if (used >= room) break;
    const text = clip(withGlyphs(span.text, glyphs), room - used, glyphs.ellipsis);
    used += displayWidth(text);
    append(fitted, { ...span, text });
  }
  if (tail.length > 0 || fill) append(fitted, { text: ' '.repeat(Math.max(0, width - used - widthOf(tail))) });
  for (const span of tail) append(fitted, span);
  return fitted;
}

function append(spans: Span[], next: Span): void {
  const last = spans.at(-1);
  const looksAlike = last !== undefined && (last.tone ?? 'plain') === (next.tone ?? 'plain');
  const isBlank = last !== undefined && last.tone !== 'chosen' && next.tone !== 'chosen' && /^ *$/.test(next.text);
  if (looksAlike || isBlank) spans[spans.length - 1] = { ...last, text: last.text + next.text };
  else spans.push(next);
}

const widthOf = (spans: readonly Span[]) => spans.reduce((sum, span) => sum + displayWidth(span.text), 0);
