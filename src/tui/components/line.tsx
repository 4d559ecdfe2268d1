import { Text } from 'ink';
import { fitSpans, type Span } from '../text/fit-spans.ts';
import { type Tone, toneProps, useTheme } from '../theme.ts';

export interface LineProps {
  spans: readonly Span[];
  /** At the right end, as long as there is room. */
  right?: readonly Span[];
  /** Cells. */
  width: number;
  /** Of the whole row. */
  tone?: Tone;
}

/** One row of a screen. */
export function Line({ spans, right = [], width, tone }: LineProps) {
  const theme = useTheme();
  const drawn = fitSpans(spans, right, width, theme.glyphs, tone === 'chosen');
  return (
    <Text wrap="truncate-end" {...(tone ? toneProps(theme, tone) : {})}>
      {drawn.length === 0 ? ' ' : drawn.map((span, index) => piece(span, index))}
    </Text>
  );

  function piece({ text, tone: own = 'plain' }: Span, index: number) {
    if (own === 'plain') return text;
    return (
      <Text key={index} {...toneProps(theme, own)}>
        {text}
      </Text>
    );
  }
}
