import type { LiveFigures } from './live-stats.ts';
import { shortNumber } from './short-number.ts';

export interface ProgressState extends LiveFigures {
  phase: 'warmup' | 'profiling';
  /** Undefined when a duration ends the run. */
  total: number | undefined;
  elapsedMs: number;
}

/** The newest figures in one line of at most `columns`; what matters least is left out first. Pure. */
export function progressLine(
  state: ProgressState,
  columns: number,
  bar: { full: string; empty: string } | null,
): string {
  const { done, total, failed } = state;
  const phase = state.phase === 'warmup' ? 'warm-up' : 'requests';
  const count = `${done}/${total ?? '?'}`;
  const optional = [
    state.requestsPerSecond === null ? '' : `${shortNumber(state.requestsPerSecond)} req/s`,
    state.tokensPerSecond === null ? '' : `${shortNumber(state.tokensPerSecond)} tok/s`,
    state.ttftP50 === null ? '' : `TTFT p50 ${shortNumber(state.ttftP50)} p99 ${shortNumber(state.ttftP99 ?? 0)} ms`,
    state.itlP50 === null ? '' : `ITL ${shortNumber(state.itlP50)} ms`,
    `${Math.round(state.elapsedMs / 1_000)} s`,
  ].filter((part) => part !== '');
  const trouble = failed > 0 ? [`${failed} failed`] : [];
  const head = `${phase} ${count}`;
  let parts = [...trouble, ...optional];
  const join = (): string => [head, ...parts].join(' · ');
  while (parts.length > trouble.length && join().length > columns) parts = parts.slice(0, -1);
  const text = join();
  const room = Math.min(30, columns - text.length - 1);
  if (bar === null || total === undefined || room < 8) return text.slice(0, columns);
  const filled = Math.round((Math.min(done, total) / Math.max(1, total)) * room);
  return `${bar.full.repeat(filled)}${bar.empty.repeat(room - filled)} ${text}`;
}
