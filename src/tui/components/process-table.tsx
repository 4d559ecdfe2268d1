import { Box } from 'ink';
import type { ProcessSnapshot } from '../../deployment/snapshot.ts';
import type { ProcessLoad } from '../data/process-load.ts';
import type { ViewState } from '../deployment-view.ts';
import { type ProcessRow, processRows } from '../process-rows.ts';
import { windowStart } from '../scroll.ts';
import { processTone } from '../state-tone.ts';
import { type ColumnSpec, fitColumns } from '../text/fit-columns.ts';
import type { Span } from '../text/fit-spans.ts';
import { formatAge, formatCount, formatShare } from '../text/format.ts';
import { gpuLine } from '../text/gpu-line.ts';
import { pad } from '../text/width.ts';
import { type Tone, useTheme } from '../theme.ts';
import { Line } from './line.tsx';

interface Column {
  title: string;
  align: 'left' | 'right';
  /** The higher, the earlier it is left out. */
  priority: number;
  grows?: boolean;
  cell(process: ProcessSnapshot, load: ProcessLoad | null): { text: string; tone?: Tone };
  groupCell?(row: Extract<ProcessRow, { kind: 'group' }>): string;
}

const NONE = { text: '-', tone: 'dim' as const };
const count = (value: number | null | undefined) => (value == null ? NONE : { text: formatCount(value) });
const sum = (value: number | null) => (value === null ? '-' : formatCount(value));

/** Columns of the table; `snapshotAgeMs` is what every time in a state has grown by since. */
function columnsOf(snapshotAgeMs: number, hasGpus: boolean, hasHosts: boolean): Column[] {
  return [
    {
      title: 'STATE',
      align: 'left',
      priority: 0,
      cell: ({ state }) => ({ text: state, tone: processTone(state) }),
      groupCell: ({ ready, count: all }) => `${ready}/${all}`,
    },
    ...(hasHosts
      ? [
          {
            title: 'HOST',
            align: 'left' as const,
            priority: 3,
            cell: ({ host }: ProcessSnapshot) => ({ text: host }),
          },
        ]
      : []),
    { title: 'PID', align: 'right', priority: 6, cell: ({ pid }) => (pid === null ? NONE : { text: String(pid) }) },
    {
      title: 'PORT',
      align: 'right',
      priority: 5,
      cell: ({ ports }) => (ports['http'] ? { text: String(ports['http']) } : NONE),
    },
    ...(hasGpus
      ? [
          {
            title: 'GPUS',
            align: 'left' as const,
            priority: 7,
            cell: ({ gpus }: ProcessSnapshot) => (gpus.length > 0 ? { text: gpus.join(',') } : NONE),
          },
        ]
      : []),
    {
      title: 'FOR',
      align: 'right',
      priority: 4,
      cell: ({ state, inStateMs }) =>
        state === 'pending' || state === 'unknown' ? NONE : { text: formatAge(inStateMs + snapshotAgeMs) },
    },
    {
      title: 'RESTARTS',
      align: 'right',
      priority: 3,
      cell: ({ restarts }) => ({ text: String(restarts), tone: restarts > 0 ? 'warn' : 'plain' }),
      groupCell: ({ restarts }) => String(restarts),
    },
    {
      title: 'RUN',
      align: 'right',
      priority: 1,
      cell: (_, load) => count(load?.running),
      groupCell: ({ load }) => sum(load.running),
    },
    {
      title: 'WAIT',
      align: 'right',
      priority: 2,
      cell: (_, load) => count(load?.waiting),
      groupCell: ({ load }) => sum(load.waiting),
    },
    {
      title: 'KV',
      align: 'right',
      priority: 1,
      cell: (_, load) => {
        const usage = load?.kvUsage ?? null;
        return usage === null ? NONE : { text: formatShare(usage), tone: usage > 0.95 ? 'warn' : 'plain' };
      },
      groupCell: ({ load }) => (load.kvUsage === null ? '-' : formatShare(load.kvUsage)),
    },
    {
      title: 'TOK/S',
      align: 'right',
      priority: 2,
      cell: (_, load) => count(load?.tokensPerSecond),
      groupCell: ({ load }) => sum(load.tokensPerSecond),
    },
    {
      title: 'NOTE',
      align: 'left',
      priority: 8,
      grows: true,
      cell: ({ waitingFor, lastExit }) => ({
        text: waitingFor ? `waits for ${waitingFor}` : (lastExit?.reason ?? ''),
        tone: 'dim',
      }),
    },
  ];
}

/** Widest a column gets by itself; numbers have room to grow without the table moving. */
const WIDTH: Record<string, number> = { STATE: 8, FOR: 6, RUN: 4, WAIT: 4, KV: 4, TOK_S: 5, NOTE: 16 };

export interface ProcessTableProps {
  view: ViewState;
  groupBy: 'role' | 'host';
  chosen: string | null;
  width: number;
  rows: number;
}

/** Every process with its state and load; scrolled so that the chosen one is seen. */
export function ProcessTable({ view, groupBy, chosen, width, rows }: ProcessTableProps) {
  const { glyphs } = useTheme();
  const all = processRows(view, groupBy);
  const { processes } = view.snapshot;
  const columns = columnsOf(
    view.snapshotAgeMs,
    processes.some((process) => process.gpus.length > 0),
    groupBy === 'role' && new Set(processes.map(({ host }) => host)).size > 1,
  );
  const nameWidth = Math.min(
    24,
    Math.max(all.length > rows - 1 ? 15 : 9, ...processes.map((process) => process.name.length)),
  );
  const specs: ColumnSpec[] = columns.map((column) => ({
    key: column.title,
    priority: column.priority,
    width: widthOf(column, processes),
    ...(column.grows ? { grows: true } : {}),
  }));
  const widths = fitColumns(specs, width - nameWidth - 4);
  const shown = columns.filter((column) => widths.has(column.title));
  const cells = (read: (column: Column) => { text: string; tone?: Tone }): Span[] =>
    shown.flatMap((column) => {
      const { text, tone } = read(column);
      return [
        { text: '  ' },
        { text: pad(text, widths.get(column.title)!, column.align, glyphs.ellipsis), ...(tone ? { tone } : {}) },
      ];
    });
  const listRows = Math.max(1, rows - 1);
  const start = windowStart(
    all.length,
    listRows,
    all.findIndex((row) => row.kind === 'process' && row.process.name === chosen),
  );
  const page = all.slice(start, start + listRows);
  const hidden = all.length > listRows ? ` ${start + page.length}/${all.length}` : '';
  return (
    <Box flexDirection="column" height={rows}>
      <Line
        width={width}
        spans={[
          { text: pad(`  PROCESS${hidden}`, nameWidth + 2, 'left', glyphs.ellipsis), tone: 'dim' },
          ...cells(({ title }) => ({ text: title, tone: 'dim' })),
        ]}
      />
      {page.map((row) => {
        if (row.kind === 'group') {
          const text = pad(row.label, nameWidth + 2, 'left', glyphs.ellipsis);
          return (
            <Line
              key={`group ${row.label}`}
              width={width}
              spans={[
                { text, tone: 'strong' },
                ...cells((column) => ({ text: column.groupCell?.(row) ?? '', tone: 'dim' })),
              ]}
            />
          );
        }
        if (row.kind === 'gpus')
          return (
            <Line
              key={`gpus ${row.host}`}
              width={width}
              tone="dim"
              spans={[{ text: `  ${gpuLine(row.gpus, width - 2, glyphs)}` }]}
            />
          );
        if (row.kind === 'links')
          return (
            <Line
              key={`links ${row.host}`}
              width={width}
              tone={row.isDown ? 'warn' : 'dim'}
              spans={[{ text: `  ${row.text}` }]}
            />
          );
        const isChosen = row.process.name === chosen;
        const name = pad(row.process.name, nameWidth, 'left', glyphs.ellipsis);
        return (
          <Line
            key={row.process.name}
            width={width}
            {...(isChosen ? { tone: 'chosen' as const } : {})}
            spans={[
              { text: `${isChosen ? glyphs.pointer : ' '} ${name}` },
              ...cells((column) => column.cell(row.process, row.load)),
            ]}
          />
        );
      })}
    </Box>
  );
}

function widthOf(column: Column, processes: readonly ProcessSnapshot[]): number {
  const fixed = WIDTH[column.title.replace('/', '_')];
  if (fixed !== undefined) return fixed;
  return Math.max(column.title.length, ...processes.map((process) => column.cell(process, null).text.length));
}
