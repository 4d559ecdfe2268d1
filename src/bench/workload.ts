import { syntheticText, tracePrompt } from './prompt-text.ts';
import { createRandom, drawNormal } from './random.ts';
import type { TokenLengths } from './request-record.ts';
import type { TraceRow } from './trace.ts';

/** Requests by number. Pure: the same number gives the same request, in whatever order they are asked for. */
export interface Workload {
  /** How many there are; infinite for a synthetic load. */
  count: number;
  at(index: number): WorkItem;
}

export interface WorkItem {
  asked: TokenLengths;
  /** Offset on the trace's own clock, before any speed-up; null without one. */
  timestampMs: number | null;
  prompt(): string;
}

export interface LengthSpec {
  isl: number;
  islStddev: number;
  osl: number;
  oslStddev: number;
}

const LENGTH_STREAM = 4;

/** Prompts that share nothing, with normally distributed lengths of at least one token. */
export function syntheticWorkload(lengths: LengthSpec, seed: number): Workload {
  return {
    count: Number.POSITIVE_INFINITY,
    at(index) {
      const random = createRandom(seed, LENGTH_STREAM, index);
      const draw = (mean: number, deviation: number) => Math.max(1, Math.round(drawNormal(random, mean, deviation)));
      const asked = { isl: draw(lengths.isl, lengths.islStddev), osl: draw(lengths.osl, lengths.oslStddev) };
      return { asked, timestampMs: null, prompt: () => syntheticText(seed, index, asked.isl) };
    },
  };
}

/** Rows of a trace: lengths as recorded, text by hash id, times counted from the first row. */
export function traceWorkload(rows: readonly TraceRow[], blockSize: number, seed: number): Workload {
  const first = rows[0]?.timestampMs ?? 0;
  return {
    count: rows.length,
    at(index) {
      const row = rows[index]!;
      const { inputLength, hashIds } = row;
      return {
        asked: { isl: inputLength, osl: row.outputLength },
        timestampMs: row.timestampMs === null ? null : row.timestampMs - first,
        prompt: () =>
          hashIds.length > 0
            ? tracePrompt(seed, hashIds, inputLength, blockSize)
            : syntheticText(seed, index, inputLength),
      };
    },
  };
}
