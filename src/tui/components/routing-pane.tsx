import { Box } from 'ink';
import type { Decision } from '../../frontend/decision-log.ts';
import type { ViewState } from '../deployment-view.ts';
import { windowStart } from '../scroll.ts';
import { formatClock, formatCount, formatShare } from '../text/format.ts';
import { pad } from '../text/width.ts';
import { useTheme } from '../theme.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

const MOST_CANDIDATES = 8;

/** The last routing decisions, newest first, and what the chosen one was based on. */
export function RoutingPane({
  view,
  chosen,
  width,
  rows,
}: {
  view: ViewState;
  chosen: number;
  width: number;
  rows: number;
}) {
  const { decisions } = view;
  const index = Math.min(chosen, decisions.length - 1);
  const decision = decisions[index];
  if (!decision) return <Empty width={width} rows={rows} />;
  const basisRows = Math.min(
    Math.max(4, Math.floor(rows / 2)),
    3 + Math.min(MOST_CANDIDATES, decision.selection.costs.length),
  );
  const listRows = Math.max(1, rows - basisRows - 1);
  const start = windowStart(decisions.length, listRows, index);
  const workerWidth = Math.min(20, Math.max(8, ...decisions.map(({ selection }) => selection.worker.length)));
  return (
    <Box flexDirection="column" height={rows}>
      <Line
        width={width}
        spans={[
          {
            text: `  ${'TIME'.padEnd(8)}  ${'ROLE'.padEnd(10)}  ${'WORKER'.padEnd(workerWidth)}  PROMPT  CACHED  REASON`,
            tone: 'dim',
          },
        ]}
      />
      {decisions.slice(start, start + listRows).map((entry, offset) => (
        <DecisionLine
          key={`${entry.requestId} ${entry.role} ${entry.at}`}
          decision={entry}
          isChosen={start + offset === index}
          workerWidth={workerWidth}
          width={width}
        />
      ))}
      {rows > basisRows + 1 ? <Basis decision={decision} width={width} rows={basisRows} /> : null}
    </Box>
  );
}

function Empty({ width, rows }: { width: number; rows: number }) {
  return (
    <Box flexDirection="column" height={rows}>
      <Line width={width} spans={[{ text: 'No routing decisions yet. Press ? for a request to try.', tone: 'dim' }]} />
    </Box>
  );
}

interface DecisionLineProps {
  decision: Decision;
  isChosen: boolean;
  workerWidth: number;
  width: number;
}

function DecisionLine({ decision, isChosen, workerWidth, width }: DecisionLineProps) {
  const { glyphs } = useTheme();
  const { selection, role, at } = decision;
  return (
    <Line
      width={width}
      {...(isChosen ? { tone: 'chosen' as const } : {})}
      spans={[
        { text: `${isChosen ? glyphs.pointer : ' '} ${formatClock(at)}  ` },
        { text: `${role.padEnd(10)}  ` },
        { text: `${pad(selection.worker, workerWidth, 'left', glyphs.ellipsis)}  `, tone: 'strong' },
        { text: `${formatCount(selection.promptTokens).padStart(6)}  ` },
        { text: `${cached(decision).padStart(6)}  ` },
        { text: selection.reason, tone: 'dim' },
      ]}
    />
  );
}

/** Part of the prompt's blocks the worker was believed to have; a prompt's last, partial block never counts. */
function cached({ selection }: Decision): string {
  const own = selection.costs.find((terms) => terms.worker === selection.worker);
  const blocks = own ? Math.max(own.rawPrefillBlocks, own.overlapBlocks) : 0;
  if (selection.overlapBlocks === 0) return '0';
  return blocks > 0 ? formatShare(Math.min(1, selection.overlapBlocks / blocks)) : `${selection.overlapBlocks} bl`;
}

function Basis({ decision, width, rows }: { decision: Decision; width: number; rows: number }) {
  const { selection } = decision;
  const costs = [...selection.costs].sort((a, b) => a.cost - b.cost).slice(0, rows - 3);
  const number = (value: number) => value.toFixed(value % 1 === 0 ? 0 : 2).padStart(9);
  return (
    <Box flexDirection="column" height={rows}>
      <SectionTitle width={width} title={`Request ${decision.requestId}`} />
      <Line
        width={width}
        spans={[
          { text: `${selection.mode}: ${selection.reason}; ` },
          { text: `${selection.promptTokens} prompt tokens, ${selection.candidates.length} candidates`, tone: 'dim' },
        ]}
      />
      {costs.length === 0 ? (
        <Line width={width} spans={[{ text: `candidates: ${selection.candidates.join(', ')}`, tone: 'dim' }]} />
      ) : (
        <Line
          width={width}
          spans={[{ text: `  ${'BLOCKS'.padEnd(18)}     COST   OVERLAP   PREFILL   RUNNING`, tone: 'dim' }]}
        />
      )}
      {costs.map((terms) => (
        <Line
          key={terms.worker}
          width={width}
          spans={[
            {
              text: `  ${terms.worker.padEnd(18)}${number(terms.cost)} ${number(terms.overlapBlocks)} ${number(terms.rawPrefillBlocks)} ${number(terms.decodeBlocks)}`,
              tone: terms.worker === selection.worker ? 'strong' : 'plain',
            },
          ]}
        />
      ))}
    </Box>
  );
}
