import { DynamoError } from '../base/errors.ts';
import { ARRIVAL_PATTERNS, type ArrivalPattern } from './arrivals.ts';
import { ENDPOINT_TYPES, type EndpointType } from './prepared-request.ts';
import { parseServiceLevels, type ServiceLevel } from './service-level.ts';
import type { LengthSpec } from './workload.ts';

/** Values of the command line as commander hands them over. */
export interface BenchFlags {
  model?: string;
  endpointType?: string;
  streaming: boolean;
  concurrency?: string;
  requestRate?: string;
  arrivalPattern: string;
  requestCount?: string;
  benchmarkDuration?: string;
  benchmarkGracePeriod: string;
  warmupRequestCount: string;
  isl?: string;
  islStddev: string;
  osl?: string;
  oslStddev: string;
  trace?: string;
  speedupRatio: string;
  maxRows?: string;
  traceBlockSize: string;
  fixedSchedule: boolean;
  maxIsl?: string;
  maxOsl?: string;
  randomSeed: string;
  requestTimeoutSeconds: string;
  ignoreEos: boolean;
  useServerTokenCount: boolean;
  extraInputs?: string[];
  header?: string[];
  apiKeyEnv?: string;
  goodput?: string;
  failedRequestThreshold: string;
  artifactDir?: string;
  json?: boolean;
  /** Charts after the report. */
  chart?: boolean;
}

/** A checked benchmark. Times in milliseconds where the name says so, rates per second. */
export interface BenchOptions {
  model: string | undefined;
  endpointType: EndpointType;
  streaming: boolean;
  load: LoadOptions;
  requestCount: number | undefined;
  durationMs: number | undefined;
  graceMs: number;
  warmupRequestCount: number;
  lengths: LengthSpec;
  trace: TraceFlags | undefined;
  randomSeed: number;
  timeoutMs: number;
  exactOutput: boolean;
  useServerTokenCount: boolean;
  extraInputs: Record<string, unknown>;
  headers: Record<string, string>;
  serviceLevels: ServiceLevel[];
  failedRequestThreshold: number;
  artifactDir: string | undefined;
}

export type LoadOptions =
  | { kind: 'concurrency'; concurrency: number }
  | { kind: 'rate'; requestRate: number; pattern: ArrivalPattern; concurrency: number | undefined }
  | { kind: 'schedule'; concurrency: number | undefined };

export interface TraceFlags {
  file: string;
  speedupRatio: number;
  maxRows: number | undefined;
  blockSize: number;
  maxIsl: number | undefined;
  maxOsl: number | undefined;
}

const DEFAULT_ISL = 550;
const DEFAULT_OSL = 128;

/** AIPerf's other spellings of our options, by the key under which commander hands them over. */
export const FLAG_ALIASES = {
  syntheticInputTokensMean: 'isl',
  promptInputTokensMean: 'isl',
  syntheticInputTokensStddev: 'islStddev',
  promptInputTokensStddev: 'islStddev',
  outputTokensMean: 'osl',
  outputTokensStddev: 'oslStddev',
  numRequests: 'requestCount',
  numWarmupRequests: 'warmupRequestCount',
  requestRateMode: 'arrivalPattern',
  inputFile: 'trace',
  islBlockSize: 'traceBlockSize',
  synthesisSpeedupRatio: 'speedupRatio',
  synthesisMaxIsl: 'maxIsl',
  synthesisMaxOsl: 'maxOsl',
} as const satisfies Record<string, keyof BenchFlags>;

/** Flags under our names; an alias that was given wins over a default. */
export function applyAliases(flags: BenchFlags & Partial<Record<keyof typeof FLAG_ALIASES, string>>): BenchFlags {
  const merged: BenchFlags = { ...flags };
  for (const [alias, name] of Object.entries(FLAG_ALIASES) as [keyof typeof FLAG_ALIASES, 'isl'][]) {
    const value = flags[alias];
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}

/** Checks the command line before anything is sent. Throws `USAGE`, naming the option. */
export function readBenchOptions(flags: BenchFlags): BenchOptions {
  const trace = flags.trace === undefined ? undefined : readTraceFlags(flags.trace, flags);
  if (trace && (flags.isl !== undefined || flags.osl !== undefined))
    throw usage(
      '--isl and --osl are for synthetic prompts; with --trace the rows say the lengths (--max-isl and --max-osl cut them)',
    );
  const load = readLoad(flags, trace !== undefined);
  const requestCount = optional(flags.requestCount, '--request-count', count);
  const durationMs = optional(flags.benchmarkDuration, '--benchmark-duration', seconds);
  const concurrency = load.kind === 'concurrency' ? load.concurrency : 1;
  return {
    model: flags.model,
    // Text completions have no chat template, so a trace's lengths and shared prefixes arrive as they are.
    endpointType: oneOf(flags.endpointType ?? (trace ? 'completions' : 'chat'), '--endpoint-type', ENDPOINT_TYPES),
    streaming: flags.streaming,
    load,
    requestCount: requestCount ?? (trace || durationMs !== undefined ? undefined : Math.max(100, 10 * concurrency)),
    durationMs,
    graceMs: Math.min(notNegative(flags.benchmarkGracePeriod, '--benchmark-grace-period'), MAX_SECONDS) * 1_000,
    warmupRequestCount: whole(flags.warmupRequestCount, '--warmup-request-count'),
    lengths: {
      isl: positive(flags.isl ?? String(DEFAULT_ISL), '--isl'),
      islStddev: notNegative(flags.islStddev, '--isl-stddev'),
      osl: positive(flags.osl ?? String(DEFAULT_OSL), '--osl'),
      oslStddev: notNegative(flags.oslStddev, '--osl-stddev'),
    },
    trace,
    randomSeed: whole(flags.randomSeed, '--random-seed'),
    timeoutMs: seconds(flags.requestTimeoutSeconds, '--request-timeout-seconds'),
    exactOutput: flags.ignoreEos,
    useServerTokenCount: flags.useServerTokenCount,
    extraInputs: Object.assign({}, ...(flags.extraInputs ?? []).map(readExtraInput)) as Record<string, unknown>,
    headers: readHeaders(flags),
    serviceLevels: flags.goodput === undefined ? [] : parseServiceLevels(flags.goodput),
    failedRequestThreshold: whole(flags.failedRequestThreshold, '--failed-request-threshold'),
    artifactDir: flags.artifactDir,
  };
}

function readTraceFlags(file: string, flags: BenchFlags): TraceFlags {
  return {
    file,
    speedupRatio: positive(flags.speedupRatio, '--speedup-ratio'),
    maxRows: optional(flags.maxRows, '--max-rows', count),
    blockSize: count(flags.traceBlockSize, '--trace-block-size'),
    maxIsl: optional(flags.maxIsl, '--max-isl', count),
    maxOsl: optional(flags.maxOsl, '--max-osl', count),
  };
}

function readLoad(flags: BenchFlags, hasTrace: boolean): LoadOptions {
  const concurrency = optional(flags.concurrency, '--concurrency', count);
  if (flags.requestRate !== undefined) {
    const requestRate = positive(flags.requestRate, '--request-rate');
    return {
      kind: 'rate',
      requestRate,
      pattern: oneOf(flags.arrivalPattern, '--arrival-pattern', ARRIVAL_PATTERNS),
      concurrency,
    };
  }
  if (hasTrace && flags.fixedSchedule) return { kind: 'schedule', concurrency };
  return { kind: 'concurrency', concurrency: concurrency ?? 1 };
}

function readExtraInput(text: string): Record<string, unknown> {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text) as Record<string, unknown>;
    } catch (error) {
      throw new DynamoError('USAGE', `--extra-inputs: ${text} is not valid JSON`, { cause: error });
    }
  }
  const colon = text.indexOf(':');
  if (colon <= 0) throw usage(`--extra-inputs: ${text} is neither key:value nor a JSON object`);
  const value = text.slice(colon + 1);
  try {
    return { [text.slice(0, colon)]: JSON.parse(value) };
  } catch {
    return { [text.slice(0, colon)]: value };
  }
}

function readHeaders(flags: BenchFlags): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const text of flags.header ?? []) {
    const match = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n]*)$/.exec(text);
    if (!match?.[1]) throw usage(`--header: ${text} is not "Name: value"`);
    headers[match[1]] = match[2] ?? '';
  }
  if (flags.apiKeyEnv === undefined) return headers;
  const key = process.env[flags.apiKeyEnv];
  if (!key) throw new DynamoError('SECRET_MISSING', `--api-key-env: ${flags.apiKeyEnv} is not set`);
  headers['Authorization'] = `Bearer ${key}`;
  return headers;
}

const usage = (message: string): DynamoError => new DynamoError('USAGE', message);

function optional<T>(text: string | undefined, name: string, read: (text: string, name: string) => T): T | undefined {
  return text === undefined ? undefined : read(text, name);
}

function number(text: string, name: string, fits: (value: number) => boolean, what: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || !fits(value)) throw usage(`${name}: ${text} is not ${what}`);
  return value;
}

const positive = (text: string, name: string) => number(text, name, (value) => value > 0, 'a number over 0');
const notNegative = (text: string, name: string) => number(text, name, (value) => value >= 0, 'a number, 0 or more');
/** Seconds that a timer can hold, as milliseconds. */
const MAX_SECONDS = 1_000_000;
const seconds = (text: string, name: string) =>
  number(text, name, (value) => value > 0 && value <= MAX_SECONDS, `a number over 0, up to ${MAX_SECONDS}`) * 1_000;
const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 0;
const whole = (text: string, name: string) => number(text, name, isWhole, 'a whole number, 0 or more');
const count = (text: string, name: string) =>
  number(text, name, (value) => isWhole(value) && value >= 1, 'a whole number, 1 or more');

function oneOf<T extends string>(text: string, name: string, choices: readonly T[]): T {
  if (!(choices as readonly string[]).includes(text)) throw usage(`${name}: ${text} is none of ${choices.join(', ')}`);
  return text as T;
}
