import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import type { Decision } from '../frontend/decision-log.ts';
import type { EventRecord } from '../supervise/protocol.ts';
import type { ProcessLoad } from './data/process-load.ts';
import type { TrafficPoint } from './data/traffic.ts';

/** All that the screens know of a deployment at one moment. Plain data, so that a screen can be drawn from a recorded one. */
export interface ViewState {
  snapshot: DeploymentSnapshot;
  /** Milliseconds since the snapshot was taken: every `inStateMs` in it is older by that. */
  snapshotAgeMs: number;
  /** Milliseconds since the deployment was started, by the wall clock. */
  uptimeMs: number;
  /** By process name; a process that answers no metrics has no entry. */
  loads: Readonly<Record<string, ProcessLoad>>;
  /** Oldest first, one every `TRAFFIC_STEP_MS`. */
  traffic: readonly TrafficPoint[];
  /** Oldest first. */
  events: readonly Numbered<EventRecord>[];
  log: LogView;
  /** Newest first; empty while nobody looks at them. */
  decisions: readonly Decision[];
  /** What became of the last thing the user asked for. */
  note: Note | null;
}

/** `seq` grows by one with each entry and stays with it, so that a scrolled list stands still while it grows. */
export type Numbered<T> = T & { seq: number };

export interface LogLine {
  seq: number;
  /** Safe to draw. */
  text: string;
}

export interface LogView {
  /** Name of the log that is followed; null while none is. */
  name: string | null;
  lines: readonly LogLine[];
}

export interface Note {
  text: string;
  tone: 'info' | 'bad';
}

/** What the screens read and do. The implementation connects, polls and comes back by itself when a controller does. */
export interface DeploymentView {
  /** The newest state; the same object until something changed. */
  current(): ViewState;
  /** Calls back at most ten times a second. Returns the way to end it. */
  subscribe(listener: () => void): () => void;
  /** Reads one log from now on; null for none. */
  followLog(name: string | null): void;
  /** Asks the frontends for their routing decisions from now on. */
  followDecisions(wanted: boolean): void;
  /** Drains or restarts one process; how it went becomes the note. Never rejects. */
  act(action: 'drain' | 'restart', name: string): Promise<void>;
  /** Other numbers of workers, as `dynamo scale` takes them; how it went becomes the note. Never rejects. */
  scale(targets: readonly string[]): Promise<void>;
  /** Restarts one process after the other; how it went becomes the note. Never rejects. */
  restartAll(): Promise<void>;
  /** Stops the deployment; how it went becomes the note. Never rejects. */
  stop(force: boolean): Promise<void>;
  /** Starts a controller for an unattended deployment. Never rejects. */
  adopt(): Promise<void>;
  say(note: Note | null): void;
  close(): void;
}
