import { Box } from 'ink';
import type { SerializedError } from '../../base/errors.ts';
import { cleanText } from '../text/clean-text.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

/** Why a deployment failed: what, the last lines, what to do. */
export function ErrorReport({ error, width, rows }: { error: SerializedError; width: number; rows: number }) {
  const details = error.details.slice(-Math.max(0, rows - 3));
  return (
    <Box flexDirection="column" height={rows}>
      <SectionTitle width={width} title={`Failed (${error.code})`} />
      <Line width={width} spans={[{ text: error.message, tone: 'bad' }]} />
      {details.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity of their own
        <Line key={index} width={width} spans={[{ text: `  ${cleanText(line)}` }]} />
      ))}
      <Line width={width} spans={[{ text: `hint: ${error.hint}`, tone: 'accent' }]} />
    </Box>
  );
}
