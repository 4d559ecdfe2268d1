import { Text } from 'ink';
import { withGlyphs } from '../text/glyphs.ts';
import { clip, displayWidth } from '../text/width.ts';
import { type Tone, toneProps, useTheme } from '../theme.ts';

export interface Span {
  text: string;
  tone?: Tone;
}

/** One row of a screen, `width` cells wide: spans from the left, `right` at the right end as long as there is room. */
export function Line({
  spans,
  right = [],
  width,
  tone,
}: {
  spans: readonly Span[];
  right?: readonly Span[];
  width: number;
  tone?: Tone;
}) {
  const theme = useTheme();
  const { ellipsis } = theme.glyphs;
  const end = right.map((span) => ({ ...span, text: withGlyphs(span.text, theme.glyphs) }));
  const tail = widthOf(end) + 1 < width ? end : [];
  const room = width - (tail.length > 0 ? widthOf(tail) + 1 : 0);
  const drawn: Span[] = [];
  let used = 0;
  for (const span of spans) {
    const text = clip(withGlyphs(span.text, theme.glyphs), room - used, ellipsis);
    used += displayWidth(text);
    drawn.push({ ...span, text });
    if (used >= room) break;
  }
  if (tail.length > 0 || tone === 'chosen')
    drawn.push({ text: ' '.repeat(Math.max(0, width - used - widthOf(tail))) }, ...tail);
  return (
    <Text wrap="truncate-end" {...(tone ? toneProps(theme, tone) : {})}>
      {drawn.length === 0
        ? ' '
        : drawn.map((span, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: spans have no identity of their own
            <Text key={index} {...toneProps(theme, span.tone ?? 'plain')}>
              {span.text}
            </Text>
          ))}
    </Text>
  );
}

const widthOf = (spans: readonly Span[]) => spans.reduce((sum, span) => sum + displayWidth(span.text), 0);
