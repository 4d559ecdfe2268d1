import { pause } from '../../base/abort.ts';
import { DynamoError, messageOf } from '../../base/errors.ts';
import { type ControllerClient, connectController, spawnController } from '../../deployment/controller-client.ts';
import { readSnapshot } from '../../deployment/local-view.ts';
import { LogReader } from '../../deployment/log-reader.ts';
import type { DeploymentSnapshot } from '../../deployment/snapshot.ts';
import { stopDeployment } from '../../deployment/start-deployment.ts';
import { deploymentPaths } from '../../deployment/state-dir.ts';
import { parseEvent } from '../../supervise/event-log.ts';
import type { DeploymentView, Note, Numbered, ViewState } from '../deployment-view.ts';
import { logText } from '../text/log-text.ts';
import { LogFollow } from './log-follow.ts';
import { MetricsPoll } from './metrics-poll.ts';
import { TRAFFIC_POINTS, TRAFFIC_STEP_MS } from './traffic.ts';

/** Between looks for a controller, while none runs. */
const LOOK_MS = 1_000;
/** Asks a connected controller for a fresh snapshot: a suspended one is noticed, times in a state stay right. */
const REFRESH_MS = 5_000;
const REFRESH_TIMEOUT_MS = 3_000;
const FILES_MS = 250;
const REPAINT_MS = 100;
/** Uptime and times in a state are drawn anew this often while nothing else happens. */
const TICK_MS = 1_000;
/** What went well is said this long; what failed stays until a key is pressed. */
const NOTE_MS = 8_000;
const EVENTS_KEPT = 500;
const LOG_LINES_KEPT = 2_000;

/**
 * A deployment of this machine as the screens see it: snapshots from its controller, or from agents and files while none runs;
 * events and logs from their files; load from the processes' own metrics. Every loop ends with `close`.
 */
export class LiveView implements DeploymentView {
  readonly #name: string;
  readonly #dir: string;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #poll = new MetricsPoll(this.#ended.signal);
  #state: ViewState;
  /** What the screens have: `#state` as of the last repaint. */
  #published: ViewState;
  #snapshotAtMs = performance.now();
  #client: ControllerClient | undefined;
  #repaint: NodeJS.Timeout | undefined;
  #changed = false;
  #noteAtMs = 0;
  #nextSeq = 1;
  readonly #log: LogFollow;
  #wantsDecisions = false;
  #lookNow: () => void = () => {};

  constructor(name: string, dir: string, first: DeploymentSnapshot) {
    this.#name = name;
    this.#dir = dir;
    this.#state = {
      snapshot: first,
      snapshotAgeMs: 0,
      uptimeMs: 0,
      loads: {},
      traffic: [],
      events: [],
      log: { name: null, lines: [] },
      decisions: [],
      note: null,
    };
    this.#published = this.#state;
    this.#log = new LogFollow({
      deployment: name,
      tail: LOG_LINES_KEPT,
      signal: this.#ended.signal,
      onLines: (log, lines) => this.#addToLog(log, lines),
      onProblem: (error) => this.#set({ note: { text: `the log cannot be read: ${messageOf(error)}`, tone: 'bad' } }),
    });
  }

  /** Begins to follow everything; without `metrics`, no process is asked. */
  start(options: { metrics: boolean } = { metrics: true }): this {
    void this.#followController();
    void this.#followFiles();
    if (options.metrics) void this.#followMetrics();
    const tick = setInterval(() => this.#set(this.#noteIsOld() ? { note: null } : {}), TICK_MS);
    this.#ended.signal.addEventListener('abort', () => clearInterval(tick), { once: true });
    return this;
  }

  current(): ViewState {
    return this.#published;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  followLog(name: string | null): void {
    if (name === this.#state.log.name) return;
    this.#set({ log: { name, lines: [] } });
    this.#log.follow(name);
  }

  followDecisions(wanted: boolean): void {
    if (wanted && !this.#wantsDecisions) void this.#readDecisions();
    this.#wantsDecisions = wanted;
  }

  async act(action: 'drain' | 'restart', name: string): Promise<void> {
    this.#tell(action === 'drain' ? `draining ${name}…` : `restarting ${name}: it drains first…`);
    await this.#try(async () => {
      await this.#controller().request(action, { name });
      return action === 'drain' ? `${name} is out of service` : `${name} was started anew and is ready`;
    });
  }

  async scale(targets: readonly string[]): Promise<void> {
    this.#tell(`scaling to ${targets.join(' ')}…`);
    await this.#try(async () => {
      const { steps } = await this.#controller().request('scale', { targets: [...targets] });
      if (steps.length === 0) return 'nothing to change: it has that many workers';
      return `scaled: ${steps.map(({ group, from, to }) => `${group} ${from} → ${to}`).join(', ')}`;
    });
  }

  async restartAll(): Promise<void> {
    this.#tell('restarting one process after the other…');
    await this.#try(async () => {
      const { restarted } = await this.#controller().request('rolling', { targets: [] });
      return `${restarted.length} processes were started anew and are ready`;
    });
  }

  async stop(force: boolean): Promise<void> {
    this.#tell(force ? `stopping ${this.#name} by force…` : `stopping ${this.#name}…`);
    await this.#try(async () => {
      await stopDeployment(this.#name, this.#dir, { force });
      return `${this.#name} is stopped; nothing is left`;
    });
  }

  async adopt(): Promise<void> {
    this.#tell('starting a controller…');
    await this.#try(async () => {
      const { pid } = await spawnController(this.#name, this.#dir, undefined);
      this.#lookNow();
      return `adopted by controller pid ${pid}`;
    });
  }

  say(note: Note | null): void {
    this.#set({ note });
  }

  close(): void {
    this.#ended.abort();
    clearTimeout(this.#repaint);
    this.#client?.peer.close();
    this.#listeners.clear();
  }

  #controller(): ControllerClient['peer'] {
    if (!this.#client?.peer.open) throw new DynamoError('NO_DEPLOYMENT', 'no controller runs: adopt it first');
    return this.#client.peer;
  }

  async #followController(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      this.#client = await this.#connect();
      if (this.#client) {
        await this.#attended(this.#client);
        this.#client = undefined;
      } else {
        const snapshot = await readSnapshot(this.#name).catch(() => undefined);
        if (snapshot && !signal.aborted) this.#show(snapshot);
        await this.#pause(LOOK_MS);
      }
    }
  }

  async #connect(): Promise<ControllerClient | undefined> {
    const client = await connectController(this.#dir, {
      prepare: (peer) => peer.on('snapshot', (snapshot) => this.#show(snapshot)),
    }).catch(() => undefined); // suspended, or of another version: what agents and files say is shown
    if (client && this.#ended.signal.aborted) client.peer.close();
    else if (client) this.#show(client.hello.snapshot);
    return client;
  }

  /** Until the connection is gone or the controller does not answer any more. */
  async #attended({ peer }: ControllerClient): Promise<void> {
    const { signal } = this.#ended;
    while (peer.open && !signal.aborted) {
      const next = new AbortController();
      await Promise.race([peer.closed, pause(REFRESH_MS, AbortSignal.any([signal, next.signal]))]);
      next.abort();
      if (!peer.open || signal.aborted) break;
      try {
        this.#show(await peer.request('snapshot', {}, { timeoutMs: REFRESH_TIMEOUT_MS }));
      } catch {
        peer.close();
      }
    }
  }

  /** Ends early when somebody knows that there is something to see. */
  async #pause(ms: number): Promise<void> {
    const early = new AbortController();
    this.#lookNow = () => early.abort();
    await pause(ms, AbortSignal.any([this.#ended.signal, early.signal]));
  }

  async #followFiles(): Promise<void> {
    const { signal } = this.#ended;
    const events = new LogReader(deploymentPaths(this.#dir).events);
    let lines = tolerate(() => events.begin(EVENTS_KEPT), []);
    while (!signal.aborted) {
      if (lines.length > 0) {
        const fresh = this.#numbered(lines.flatMap((line) => parseEvent(line) ?? []));
        this.#set({ events: [...this.#state.events, ...fresh].slice(-EVENTS_KEPT) });
      }
      await pause(FILES_MS, signal);
      lines = tolerate(() => events.next(), []);
    }
  }

  #addToLog(name: string, lines: readonly string[]): void {
    if (name !== this.#state.log.name) return;
    const fresh = this.#numbered(lines.map((line) => ({ text: logText(line) })));
    this.#set({ log: { name, lines: [...this.#state.log.lines, ...fresh].slice(-LOG_LINES_KEPT) } });
  }

  async #followMetrics(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const { loads, traffic } = await this.#poll.round(this.#state.snapshot);
      if (signal.aborted) return;
      // Drawn with the next tick: what changes all the time need not be drawn twice a second.
      this.#state = {
        ...this.#state,
        loads,
        ...(traffic ? { traffic: [...this.#state.traffic, traffic].slice(-TRAFFIC_POINTS) } : {}),
      };
      if (this.#wantsDecisions) await this.#readDecisions();
      await pause(TRAFFIC_STEP_MS, signal);
    }
  }

  async #readDecisions(): Promise<void> {
    const decisions = await this.#poll.decisions(this.#state.snapshot);
    if (!this.#ended.signal.aborted) this.#set({ decisions });
  }

  #show(snapshot: DeploymentSnapshot): void {
    this.#snapshotAtMs = performance.now();
    this.#set({ snapshot });
  }

  #noteIsOld(): boolean {
    const { note } = this.#state;
    return note?.tone === 'info' && performance.now() - this.#noteAtMs > NOTE_MS;
  }

  #tell(text: string): void {
    this.#set({ note: { text, tone: 'info' } });
  }

  async #try(work: () => Promise<string>): Promise<void> {
    try {
      this.#tell(await work());
    } catch (error) {
      const hint = error instanceof DynamoError ? ` (${error.code})` : '';
      this.#set({ note: { text: `${messageOf(error)}${hint}`, tone: 'bad' } });
    }
  }

  #numbered<T>(items: readonly T[]): Numbered<T>[] {
    return items.map((item) => {
      const seq = this.#nextSeq;
      this.#nextSeq += 1;
      return { ...item, seq };
    });
  }

  /** Takes a change over; listeners hear of all changes of a tenth of a second at once. */
  #set(change: Partial<ViewState>): void {
    if (this.#ended.signal.aborted) return;
    if (change.note) this.#noteAtMs = performance.now();
    this.#state = { ...this.#state, ...change };
    if (this.#repaint !== undefined) {
      this.#changed = true;
      return;
    }
    this.#publish();
  }

  #publish(): void {
    this.#changed = false;
    const started = Date.parse(this.#state.snapshot.startedAt);
    this.#published = {
      ...this.#state,
      snapshotAgeMs: performance.now() - this.#snapshotAtMs,
      uptimeMs: Number.isNaN(started) ? 0 : Math.max(0, Date.now() - started),
    };
    this.#repaint = setTimeout(() => {
      this.#repaint = undefined;
      if (this.#changed) this.#publish();
    }, REPAINT_MS);
    for (const listener of this.#listeners) listener();
  }
}

/** A file that cannot be read now is read at the next look. */
function tolerate<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
