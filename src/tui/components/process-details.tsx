import { Box } from 'ink';
import type { ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { ViewState } from '../deployment-view.ts';
import { processTone } from '../state-tone.ts';
import { cleanText } from '../text/clean-text.ts';
import { formatAge, formatClock } from '../text/format.ts';
import { startPhases } from '../text/start-phases.ts';
import { wrapText } from '../text/wrap.ts';
import type { Tone } from '../theme.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

interface Fact {
  label: string;
  text: string;
  tone?: Tone;
}

/** What the first pane tells of the chosen process beyond its row: what it waits for, how it ended last and why. Pure. */
export function troubleOf(process: ProcessSnapshot): Fact[] {
  const facts: Fact[] = [];
  if (process.waitingFor) facts.push({ label: 'waits for', text: process.waitingFor, tone: 'warn' });
  if (process.lastExit) {
    const { at, reason, cause, fix, lastLines } = process.lastExit;
    facts.push({ label: 'last exit', text: `${formatClock(at)} ${reason}`, tone: 'bad' });
    if (cause) facts.push({ label: 'cause', text: cause });
    if (fix) facts.push({ label: 'next step', text: fix, tone: 'accent' });
    for (const line of lastLines.slice(cause ? -1 : -2)) facts.push({ label: '', text: cleanText(line), tone: 'dim' });
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
  const wrap = (facts: readonly Fact[]) => facts.flatMap((fact) => wrapped(fact, width));
  const [life, crash] = [wrap(lifeOf(view, process)), wrap(crashOf(process))];
  const lastLines = process.lastExit?.lastLines ?? [];
  // A crash and what was said before it come before what never changes.
  const room = rows - 1 - life.length - crash.length;
  const identity = wrap(identityOf(process)).slice(0, Math.max(0, room - Math.min(LAST_LINES, lastLines.length)));
  const facts = [...life, ...identity, ...crash].slice(0, rows - 1);
  const left = room - identity.length;
  const lines = left > 0 ? lastLines.slice(-left) : [];
  return (
    <Box flexDirection="column" height={rows}>
      <SectionTitle title={process.name} width={width} />
      <Facts facts={facts} width={width} />
      <Facts facts={lines.map((line) => ({ label: '', text: cleanText(line), tone: 'dim' }))} width={width} />
    </Box>
  );
}

/** Last lines of a process that ended which are shown before its identity is. */
const LAST_LINES = 4;

function lifeOf(view: ViewState, process: ProcessSnapshot): Fact[] {
  const phases = startPhases(process, view.snapshotAgeMs);
  return [
    {
      label: 'state',
      text: `${process.state} for ${formatAge(process.inStateMs + view.snapshotAgeMs)}`,
      tone: processTone(process.state),
    },
    ...(process.waitingFor ? [{ label: 'waits for', text: process.waitingFor, tone: 'warn' as const }] : []),
    ...(phases ? [{ label: 'start', text: phases }] : []),
  ];
}

/** The most useful first. */
function identityOf(process: ProcessSnapshot): Fact[] {
  const ports = Object.entries(process.ports).map(([purpose, port]) => `${purpose} ${port}`);
  const gpus = process.gpus.length > 0 ? `GPUs ${process.gpus.join(', ')}` : 'no GPU';
  return [
    { label: 'pid', text: `${process.pid ?? '-'}, incarnation ${process.generation}, ${process.restarts} restarts` },
    { label: 'log', text: process.logFile || '-' },
    { label: 'role', text: `${[process.engine, process.role].filter(Boolean).join(' ')} on ${process.host}, ${gpus}` },
    { label: 'address', text: process.url },
    { label: 'ports', text: ports.join(', ') || '-' },
  ];
}

/** How it ended last, why, what to do, and where all of it is written. */
function crashOf({ lastExit }: ProcessSnapshot): Fact[] {
  if (!lastExit) return [];
  const { at, reason, cause, fix, report } = lastExit;
  return [
    { label: 'last exit', text: `${formatClock(at)} ${reason}`, tone: 'bad' },
    ...(cause ? [{ label: 'cause', text: cause, tone: 'strong' as const }] : []),
    ...(fix ? [{ label: 'next step', text: fix, tone: 'accent' as const }] : []),
    ...(report ? [{ label: 'report', text: report }] : []),
  ];
}

const LABEL = 10;

function wrapped({ label, text, ...rest }: Fact, width: number): Fact[] {
  return wrapText(text, width - LABEL - 2).map((line, index) => ({
    ...rest,
    label: index === 0 ? label : '',
    text: line,
  }));
}

function Facts({ facts, width }: { facts: readonly Fact[]; width: number }) {
  return facts.map(({ label, text, tone }, index) => (
    <Line
      // biome-ignore lint/suspicious/noArrayIndexKey: facts have no identity of their own
      key={index}
      width={width}
      spans={[
        { text: `  ${label.padEnd(LABEL)}`, tone: 'dim' },
        { text, ...(tone ? { tone } : {}) },
      ]}
    />
  ));
}
