import { Box } from 'ink';
import { formatBytes } from '../../base/bytes.ts';
import type { CopySnapshot, HostSnapshot, PairSnapshot, ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { ViewState } from '../deployment-view.ts';
import { processOrder } from '../process-rows.ts';
import { windowStart } from '../scroll.ts';
import { processTone } from '../state-tone.ts';
import { formatAge } from '../text/format.ts';
import { startPhases } from '../text/start-phases.ts';
import { pad } from '../text/width.ts';
import { useTheme } from '../theme.ts';
import { Line } from './line.tsx';
import { SectionTitle } from './section-title.tsx';

/** A start as it goes: what each process waits for and since when, and each prefill × decode pair as it is proven. */
export function StartUp({
  view,
  chosen,
  width,
  rows,
}: {
  view: ViewState;
  chosen: string | null;
  width: number;
  rows: number;
}) {
  const { processes, pairs } = view.snapshot;
  const phases = processes.filter((process) => startPhases(process, 0) !== undefined).length;
  const pairRows = pairs.length === 0 ? 0 : Math.min(pairs.length + 2, Math.max(3, Math.floor(rows / 2)));
  const withPhases = processes.length + 1 + phases + pairRows <= rows;
  const needed = processes.length + 1 + (withPhases ? phases : 0);
  const processRows = Math.min(needed, Math.max(2, rows - pairRows));
  return (
    <Box flexDirection="column" height={rows}>
      <Starting view={view} chosen={chosen} width={width} rows={processRows} withPhases={withPhases} />
      {pairRows > 0 && processRows + pairRows <= rows ? <Proofs pairs={pairs} width={width} rows={pairRows} /> : null}
    </Box>
  );
}

function Starting({
  view,
  chosen,
  width,
  rows,
  withPhases,
}: {
  view: ViewState;
  chosen: string | null;
  width: number;
  rows: number;
  /** A row below each process that says what its start has taken. */
  withPhases: boolean;
}) {
  const { glyphs } = useTheme();
  const byName = new Map(view.snapshot.processes.map((process) => [process.name, process]));
  const processes = processOrder(view, 'role').map((name) => byName.get(name)!);
  const nameWidth = Math.min(24, Math.max(8, ...processes.map((process) => process.name.length)));
  const ready = processes.filter((process) => process.state === 'ready').length;
  const index = processes.findIndex((process) => process.name === chosen);
  const start = windowStart(processes.length, rows - 1, index);
  return (
    <Box flexDirection="column" height={rows}>
      <Line width={width} spans={[{ text: `${ready} of ${processes.length} processes are ready` }]} />
      {processes.slice(start, start + rows - 1).flatMap((process) => {
        const phases = withPhases ? startPhases(process, view.snapshotAgeMs) : undefined;
        const indent = ' '.repeat(nameWidth + 4);
        return [
          <Line
            key={process.name}
            width={width}
            spans={[
              {
                text: `${process.name === chosen ? glyphs.pointer : ' '} ${pad(process.name, nameWidth, 'left', glyphs.ellipsis)}  `,
              },
              { text: process.state.padEnd(8), tone: processTone(process.state) },
              { text: ` ${age(process, view.snapshotAgeMs).padStart(6)}  `, tone: 'dim' },
              { text: doing(process, view.snapshot.hosts) },
            ]}
          />,
          ...(phases === undefined
            ? []
            : [<Line key={`${process.name} phases`} width={width} spans={[{ text: indent + phases, tone: 'dim' }]} />]),
        ];
      })}
    </Box>
  );
}

const age = (process: ProcessSnapshot, sinceMs: number) =>
  process.state === 'pending' ? '' : formatAge(process.inStateMs + sinceMs);

function doing(process: ProcessSnapshot, hosts: readonly HostSnapshot[] = []): string {
  const copying = process.state === 'pending' ? hosts.find(({ name }) => name === process.host)?.copying : null;
  if (copying) return `waits for ${process.host}: ${describeCopy(copying)}`;
  if (process.waitingFor) return `waits for ${process.waitingFor}`;
  if (process.state === 'ready') return process.url;
  return process.lastExit?.reason ?? '';
}

function describeCopy({ what, doneBytes, totalBytes }: CopySnapshot): string {
  if (totalBytes === 0) return `${what} is made ready here`;
  return `dynamo is copied there: ${Math.floor((100 * doneBytes) / totalBytes)} % of ${formatBytes(totalBytes)}`;
}

const PAIR_ORDER: Record<PairSnapshot['state'], number> = { failed: 0, proven: 1, unproven: 2 };

function Proofs({ pairs, width, rows }: { pairs: readonly PairSnapshot[]; width: number; rows: number }) {
  const proven = pairs.filter((pair) => pair.state === 'proven').length;
  // The newest news first: failures, then the pairs proven last.
  const sorted = [...pairs].sort((a, b) => PAIR_ORDER[a.state] - PAIR_ORDER[b.state]);
  const room = rows - 2;
  const shown = sorted.length > room ? sorted.slice(0, room - 1) : sorted;
  return (
    <Box flexDirection="column" height={rows}>
      <Line width={width} spans={[]} />
      <SectionTitle width={width} title={`KV transfer: ${proven} of ${pairs.length} prefill × decode pairs proven`} />
      {shown.map((pair) => (
        <Line
          key={`${pair.prefill} ${pair.decode}`}
          width={width}
          spans={[{ text: `  ${pair.prefill} → ${pair.decode}  ` }, pairText(pair)]}
        />
      ))}
      {shown.length < sorted.length ? (
        <Line width={width} spans={[{ text: `  and ${sorted.length - shown.length} more`, tone: 'dim' }]} />
      ) : null}
    </Box>
  );
}

function pairText(pair: PairSnapshot) {
  if (pair.state === 'proven') return { text: `proven in ${pair.detail}`, tone: 'good' as const };
  if (pair.state === 'failed') return { text: `FAILED: ${pair.detail}`, tone: 'bad' as const };
  return { text: 'not proven yet', tone: 'dim' as const };
}
