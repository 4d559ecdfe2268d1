import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { DynamoError, messageOf } from '../base/errors.ts';

/** One request of a Mooncake trace. */
export interface TraceRow {
  /** Milliseconds; null when the trace has no times. */
  timestampMs: number | null;
  inputLength: number;
  outputLength: number;
  /** One id per block of the prompt, the last block partial; equal ids mean equal text. Empty: a prompt like no other. */
  hashIds: readonly number[];
}

export interface TraceOptions {
  /** Tokens per hash id. */
  blockSize: number;
  maxRows?: number | undefined;
  /** Longer prompts are cut to this, hash ids with them. */
  maxIsl?: number | undefined;
  /** Longer outputs are cut to this. */
  maxOsl?: number | undefined;
}

export interface Trace {
  rows: TraceRow[];
  /** How many rows the caps changed. */
  cutInputs: number;
  cutOutputs: number;
}

const MAX_PROBLEMS = 20;

/**
 * Reads a Mooncake trace (JSON lines: `timestamp`, `input_length`, `output_length`, `hash_ids`), sorted by time.
 * Throws `TRACE_INVALID` with every bad row named by line.
 */
export async function readTrace(file: string, options: TraceOptions): Promise<Trace> {
  const input = createReadStream(file, 'utf8');
  const lines: string[] = [];
  let filled = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      lines.push(line);
      if (line.trim() !== '') filled += 1;
      if (filled === options.maxRows) break;
    }
  } catch (error) {
    throw new DynamoError('TRACE_INVALID', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
  }
  return parseTrace(lines, file, options);
}

/** The pure part of `readTrace`: text lines in, rows out. */
export function parseTrace(lines: readonly string[], file: string, options: TraceOptions): Trace {
  const rows: TraceRow[] = [];
  const problems: string[] = [];
  lines.forEach((line, index) => {
    if (line.trim() === '') return;
    const row = parseRow(line, options.blockSize);
    if (typeof row === 'string') problems.push(`${file}:${index + 1}: ${row}`);
    else rows.push(row);
  });
  const timed = rows.filter((row) => row.timestampMs !== null).length;
  if (problems.length === 0 && rows.length === 0) problems.push(`${file}: no rows`);
  if (timed !== 0 && timed !== rows.length)
    problems.push(`${file}: ${rows.length - timed} rows have no timestamp, the others do`);
  if (problems.length > 0) {
    const more = problems.length > MAX_PROBLEMS ? [`and ${problems.length - MAX_PROBLEMS} more`] : [];
    throw new DynamoError(
      'TRACE_INVALID',
      `${file} is not a trace: ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
      {
        details: [...problems.slice(0, MAX_PROBLEMS), ...more],
      },
    );
  }
  rows.sort((a, b) => (a.timestampMs ?? 0) - (b.timestampMs ?? 0));
  return cap(rows, options);
}

function parseRow(line: string, blockSize: number): TraceRow | string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return 'not valid JSON';
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'not a JSON object';
  const { timestamp, input_length, output_length, hash_ids } = json as Record<string, unknown>;
  if (timestamp !== undefined && !(typeof timestamp === 'number' && Number.isFinite(timestamp) && timestamp >= 0))
    return 'timestamp must be a number of milliseconds, 0 or more';
  if (!isCount(input_length) || input_length < 1) return 'input_length must be a whole number, 1 or more';
  if (!isCount(output_length) || output_length < 1) return 'output_length must be a whole number, 1 or more';
  if (hash_ids !== undefined && !(Array.isArray(hash_ids) && hash_ids.every(isCount)))
    return 'hash_ids must be a list of whole numbers';
  const blocks = Math.ceil(input_length / blockSize);
  if (Array.isArray(hash_ids) && hash_ids.length !== blocks)
    return `${input_length} tokens are ${blocks} blocks of ${blockSize}, but hash_ids has ${hash_ids.length}`;
  return {
    timestampMs: (timestamp as number | undefined) ?? null,
    inputLength: input_length,
    outputLength: output_length,
    hashIds: (hash_ids as number[] | undefined) ?? [],
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function cap(rows: TraceRow[], options: TraceOptions): Trace {
  const { maxIsl = Number.POSITIVE_INFINITY, maxOsl = Number.POSITIVE_INFINITY, blockSize } = options;
  const trace: Trace = { rows, cutInputs: 0, cutOutputs: 0 };
  trace.rows = rows.map((row) => {
    const inputLength = Math.min(row.inputLength, maxIsl);
    const outputLength = Math.min(row.outputLength, maxOsl);
    if (inputLength < row.inputLength) trace.cutInputs += 1;
    if (outputLength < row.outputLength) trace.cutOutputs += 1;
    return { ...row, inputLength, outputLength, hashIds: row.hashIds.slice(0, Math.ceil(inputLength / blockSize)) };
  });
  return trace;
}
