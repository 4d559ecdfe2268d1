import { useTheme } from '../theme.ts';
import { Line } from './line.tsx';

/** A named rule between two parts of a pane. */
export function SectionTitle({ title, width }: { title: string; width: number }) {
  const { rule } = useTheme().glyphs;
  return (
    <Line
      width={width}
      spans={[
        { text: `${rule}${rule} `, tone: 'dim' },
        { text: title },
        { text: ` ${rule.repeat(Math.max(0, width - title.length - 4))}`, tone: 'dim' },
      ]}
    />
  );
}
