import { Box } from 'ink';
import type { ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { ViewState } from '../deployment-view.ts';
import { processTone } from '../state-tone.ts';
import { cleanText } from '../text/clean-text.ts';
import { formatAge, formatClock } from '../text/format.ts';
import type { Tone } from '../theme.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

interface Fact {
  label: string;
  text: string;
  tone?: Tone;
}

/** What the first pane tells of the chosen process beyond its row: what it waits for, how it ended last. Pure. */
export function troubleOf(process: ProcessSnapshot): Fact[] {
  const facts: Fact[] = [];
  if (process.waitingFor) facts.push({ label: 'waits for', text: process.waitingFor, tone: 'warn' });
  if (process.lastExit) {
    const { at, reason, lastLines } = process.lastExit;
    facts.push({ label: 'last exit', text: `${formatClock(at)} ${reason}`, tone: 'bad' });
    for (const line of lastLines.slice(-2)) facts.push({ label: '', text: cleanText(line), tone: 'dim' });
  }
  return facts;
}

/** Those of `troubleOf` under the process's name. */
export function Trouble({ process, width }: { process: ProcessSnapshot; width: number }) {
  return (
    <Box flexDirection="column">
      <SectionTitle title={process.name} width={width} />
      <Facts facts={troubleOf(process)} width={width} />
    </Box>
  );
}

/** Everything that is known of one process. */
export function ProcessDetails({
  view,
  process,
  width,
  rows,
}: {
  view: ViewState;
  process: ProcessSnapshot;
  width: number;
  rows: number;
}) {
  const { lastExit } = process;
  const facts: Fact[] = [
    {
      label: 'state',
      text: `${process.state} for ${formatAge(process.inStateMs + view.snapshotAgeMs)}`,
      tone: processTone(process.state),
    },
    { label: 'role', text: `${process.role} on ${process.host}` },
    { label: 'address', text: process.url },
    {
      label: 'ports',
      text:
        Object.entries(process.ports)
          .map(([purpose, port]) => `${purpose} ${port}`)
          .join(', ') || '-',
    },
    { label: 'gpus', text: process.gpus.length > 0 ? process.gpus.join(', ') : 'none' },
    { label: 'pid', text: `${process.pid ?? '-'}, incarnation ${process.generation}, ${process.restarts} restarts` },
    { label: 'log', text: process.logFile || '-' },
    ...(process.waitingFor ? [{ label: 'waits for', text: process.waitingFor, tone: 'warn' as const }] : []),
    ...(lastExit
      ? [{ label: 'last exit', text: `${formatClock(lastExit.at)} ${lastExit.reason}`, tone: 'bad' as const }]
      : []),
    ...(lastExit?.lastLines ?? []).map((line) => ({ label: '', text: cleanText(line), tone: 'dim' as const })),
  ];
  return (
    <Box flexDirection="column" height={rows}>
      <SectionTitle title={process.name} width={width} />
      <Facts facts={facts.slice(0, rows - 1)} width={width} />
    </Box>
  );
}

function Facts({ facts, width }: { facts: readonly Fact[]; width: number }) {
  return facts.map(({ label, text, tone }, index) => (
    <Line
      // biome-ignore lint/suspicious/noArrayIndexKey: facts have no identity of their own
      key={index}
      width={width}
      spans={[
        { text: `  ${label.padEnd(10)}`, tone: 'dim' },
        { text, ...(tone ? { tone } : {}) },
      ]}
    />
  ));
}
