import { Box } from 'ink';
import type { LogLine, ViewState } from '../deployment-view.ts';
import { cutAt, filterLines, holds } from '../log-lines.ts';
import { pageOf } from '../scroll.ts';
import type { Span } from '../text/fit-spans.ts';
import { fold } from '../text/log-text.ts';
import type { UiState } from '../ui-state.ts';
import { Line } from './line.tsx';

/** One process's output: the newest as it comes, or a page of it, with what was searched for marked. */
export function LogPane({ view, ui, width, rows }: { view: ViewState; ui: UiState; width: number; rows: number }) {
  const { search, filter, anchor, wraps } = ui.log;
  const lines = filterLines(view.log.lines, filter);
  const page = pageOf(lines, anchor, rows - 1);
  return (
    <Box flexDirection="column" height={rows}>
      <Line
        width={width}
        spans={[
          { text: view.log.name ?? 'no log', tone: 'strong' },
          { text: `  ${notesOf(view, ui, lines).join(', ')}`, tone: 'dim' },
        ]}
        right={[{ text: 'left/right other log', tone: 'dim' }]}
      />
      {page.length === 0 ? (
        <Line width={width} spans={[{ text: filter ? 'No line holds that.' : 'Nothing written yet.', tone: 'dim' }]} />
      ) : null}
      {rowsOf(page, wraps ? width : null, rows - 1).map(({ key, text }) => (
        <Line key={key} width={width} spans={marked(text, search)} />
      ))}
    </Box>
  );
}

function notesOf(view: ViewState, { log: { search, filter, anchor } }: UiState, lines: readonly LogLine[]): string[] {
  const found = lines.filter((line) => holds(line.text, search)).length;
  return [
    anchor === null ? 'following' : 'paused, f follows',
    ...(filter ? [`only "${filter}": ${lines.length} of ${view.log.lines.length}`] : []),
    ...(search ? [`"${search}": ${found === 0 ? 'no match' : `${found} lines`}`] : []),
  ];
}

/** What a page becomes: a row a line, or, wrapped, as many rows as a line needs; the lowest `most` of them. */
function rowsOf(page: readonly LogLine[], wrapAt: number | null, most: number): { key: string; text: string }[] {
  return page
    .flatMap(({ seq, text }) =>
      (wrapAt === null ? [text] : fold(text, wrapAt)).map((piece, index) => ({ key: `${seq} ${index}`, text: piece })),
    )
    .slice(-most);
}

function marked(text: string, search: string): Span[] {
  return cutAt(text, search).map((piece, index) =>
    index % 2 === 1 ? { text: piece, tone: 'chosen' } : { text: piece },
  );
}
