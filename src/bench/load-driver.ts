import { pause } from '../base/abort.ts';
import type { PreparedRequest } from './prepared-request.ts';
import type { RequestRecord } from './request-record.ts';

/** A closed loop keeps `concurrency` requests in flight; an open loop sends at given times, if need be up to a cap. */
export type LoadShape =
  | { kind: 'closed'; concurrency: number }
  | { kind: 'open'; offsets: Iterator<number>; concurrency: number | undefined };

export interface LoadOptions {
  shape: LoadShape;
  /** The next request, or undefined when there is none left. */
  next(): PreparedRequest | undefined;
  send(request: PreparedRequest, scheduledMs: number | null, signal: AbortSignal): Promise<RequestRecord>;
  onRecord(record: RequestRecord): void;
  /** No request is sent after this many milliseconds. */
  durationMs: number | undefined;
  /** After `durationMs`, what is in flight gets this long before it is cancelled. */
  graceMs: number;
  signal: AbortSignal;
  now: () => number;
}

export interface LoadResult {
  startMs: number;
  endMs: number;
  /** The caller's signal ended the run. */
  wasCancelled: boolean;
}

/** Requests made ahead of their time, so that making one does not delay another. */
const LOOKAHEAD = 32;
/** Making a request may take this long; with less time left it is not begun. */
const PREPARE_MS = 2;
/** Timers hold 31 bits of milliseconds; a longer wait takes several. */
const MAX_PAUSE_MS = 2 ** 30;

/** Drives one phase of load to its end: all requests answered, the duration over, or the signal. Never rejects for a failed request. */
export async function driveLoad(options: LoadOptions): Promise<LoadResult> {
  // The first requests are made before the clock starts, so that they leave together or on time.
  const { shape } = options;
  const burst = shape.kind === 'closed' ? take(options.next, shape.concurrency) : [];
  const schedule = shape.kind === 'open' ? new Schedule(shape.offsets, options.next) : undefined;
  const startMs = options.now();
  const stopSending = new AbortController();
  const cancel = new AbortController();
  const onAbort = (): void => {
    stopSending.abort();
    cancel.abort();
  };
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener('abort', onAbort, { once: true });
  const timers: NodeJS.Timeout[] = [];
  if (options.durationMs !== undefined) {
    timers.push(setTimeout(() => stopSending.abort(), options.durationMs));
    timers.push(setTimeout(() => cancel.abort(), options.durationMs + options.graceMs));
  }
  try {
    const run = { ...options, sendSignal: stopSending.signal, requestSignal: cancel.signal, startMs };
    if (schedule) await openLoop(run, schedule, shape.concurrency);
    else await closedLoop(run, burst);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    options.signal.removeEventListener('abort', onAbort);
  }
  return { startMs, endMs: options.now(), wasCancelled: options.signal.aborted };
}

interface Run extends LoadOptions {
  /** Aborts when no further request is to be sent. */
  sendSignal: AbortSignal;
  /** Aborts when requests in flight are given up. */
  requestSignal: AbortSignal;
  startMs: number;
}

function take(next: () => PreparedRequest | undefined, count: number): PreparedRequest[] {
  const requests: PreparedRequest[] = [];
  for (let request = next(); request; request = requests.length < count ? next() : undefined) requests.push(request);
  return requests;
}

async function closedLoop(run: Run, burst: readonly PreparedRequest[]): Promise<void> {
  const user = async (first: PreparedRequest): Promise<void> => {
    let request: PreparedRequest | undefined = first;
    while (request && !run.sendSignal.aborted) {
      run.onRecord(await run.send(request, null, run.requestSignal));
      request = run.sendSignal.aborted ? undefined : run.next();
    }
  };
  await Promise.all(burst.map(user));
}

/** Requests of an open loop in order of time, some made ahead. */
class Schedule {
  readonly #offsets: Iterator<number>;
  readonly #next: () => PreparedRequest | undefined;
  readonly #ahead: { request: PreparedRequest; offsetMs: number }[] = [];
  #ended = false;

  constructor(offsets: Iterator<number>, next: () => PreparedRequest | undefined) {
    this.#offsets = offsets;
    this.#next = next;
    while (this.prepareOne());
  }

  /** Makes one more request ahead; false when enough are made, or none is left. */
  prepareOne(): boolean {
    if (this.#ended || this.#ahead.length >= LOOKAHEAD) return false;
    const offset = this.#offsets.next();
    const request = offset.done ? undefined : this.#next();
    if (!request || offset.done) this.#ended = true;
    else this.#ahead.push({ request, offsetMs: offset.value });
    return !this.#ended;
  }

  peek(): { request: PreparedRequest; offsetMs: number } | undefined {
    if (this.#ahead.length === 0) this.prepareOne();
    return this.#ahead[0];
  }

  take(): void {
    this.#ahead.shift();
  }
}

async function openLoop(run: Run, schedule: Schedule, cap = Number.POSITIVE_INFINITY): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  for (let item = schedule.peek(); item && !run.sendSignal.aborted; item = schedule.peek()) {
    const dueMs = run.startMs + item.offsetMs;
    const wait = dueMs - run.now();
    if (wait > 0) {
      // Idle time is used to make the next requests, one at a time, so that reads are not held up.
      if (wait > PREPARE_MS && schedule.prepareOne()) await turn();
      else await pause(Math.min(Math.ceil(wait), MAX_PAUSE_MS), run.sendSignal);
      continue;
    }
    if (inFlight.size >= cap) {
      await Promise.race(inFlight);
      continue;
    }
    schedule.take();
    const sent = run.send(item.request, dueMs, run.requestSignal).then((record) => {
      inFlight.delete(sent);
      run.onRecord(record);
    });
    inFlight.add(sent);
    // When many are due at once, responses are read in between.
    await turn();
  }
  await Promise.all(inFlight);
}

/** One turn of the event loop: sockets are read. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
