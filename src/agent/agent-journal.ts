import { rmSync } from 'node:fs';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError } from '../base/errors.ts';
import type { ExitSnapshot } from '../deployment/snapshot.ts';
import { DEFAULT_DISCOVERY_TTL_MS } from '../discovery/discovery.ts';
import type { DiscoverySpec, ProcessSpec } from '../plan/launch-plan.ts';
import type { GangPhase } from '../supervise/protocol.ts';
import type { JudgedPair } from './pair-prover.ts';

const SCHEMA_VERSION = 1;

/** What an agent must know to take up or take back the work of one that died. */
export interface AgentJournalState {
  schemaVersion: typeof SCHEMA_VERSION;
  phase: GangPhase;
  generation: number;
  planHash: string;
  startLeaseMs: number;
  /** Where records lie; secrets in it are named only. Absent in a journal of an earlier release: files, with the TTL below. */
  discovery?: DiscoverySpec;
  discoveryTtlMs?: number;
  processes: JournalProcess[];
  /** Absent in a journal of an earlier release. */
  pairs?: JudgedPair[];
  /** A change of the committed set that is not committed itself. */
  change?: JournalChange | null;
}

/** Processes that came on top and go again, together, unless their revision is committed. */
export interface JournalChange {
  revision: number;
  planHash: string;
  names: string[];
}

export interface JournalProcess {
  spec: ProcessSpec;
  /** 0 before the first start. */
  incarnation: number;
  /** Of the newest incarnation; written before its shim is spawned. */
  runId: string;
  /** Whether it shall run: set at launch, cleared by a stop or when its restarts are spent. */
  wanted: boolean;
  restarts: number;
  attempt: number;
  /** How it ended last, for the status after this agent; absent in a journal of an earlier release. */
  lastExit?: ExitSnapshot | null;
  /** Where this incarnation's output begins in the log file. */
  logOffset: number;
}

export const EMPTY_JOURNAL: AgentJournalState = {
  schemaVersion: SCHEMA_VERSION,
  phase: 'idle',
  generation: 0,
  planHash: '',
  startLeaseMs: 60_000,
  processes: [],
  pairs: [],
};

/** Where the records of what it holds lie. */
export function journalledDiscovery({ discovery, discoveryTtlMs }: AgentJournalState): DiscoverySpec {
  return discovery ?? { backend: 'file', ttlMs: discoveryTtlMs ?? DEFAULT_DISCOVERY_TTL_MS };
}

/** A process that has not been started yet. `incarnation`: the last that anyone knows of its name. */
export function newEntry(spec: ProcessSpec, incarnation = 0): JournalProcess {
  return { spec, incarnation, runId: '', wanted: false, restarts: 0, attempt: 0, logOffset: 0 };
}

/**
 * The agent's memory on disk. Every change is on disk before it is acted on; taking things back needs no disk at all,
 * so `forget` falls back to removing the file.
 */
export class AgentJournal {
  readonly #file: string;
  #state: AgentJournalState;

  constructor(file: string) {
    this.#file = file;
    this.#state = parseJournal(readJsonFile(file), file);
  }

  get state(): Readonly<AgentJournalState> {
    return this.#state;
  }

  /** Writes the new state, then makes it current. Throws `DISK_FULL` and changes nothing when it cannot be written. */
  write(change: Partial<AgentJournalState>): void {
    const next = { ...this.#state, ...change };
    writeFileAtomic(this.#file, JSON.stringify(next));
    this.#state = next;
  }

  /** Changes several processes, and whatever else, in one write: each write waits for the disk. */
  writeProcesses(changes: ReadonlyMap<string, Partial<JournalProcess>>, rest: Partial<AgentJournalState> = {}): void {
    this.write({
      ...rest,
      processes: this.#state.processes.map((entry) => ({ ...entry, ...changes.get(entry.spec.name) })),
    });
  }

  process(name: string): JournalProcess {
    const found = this.#state.processes.find((entry) => entry.spec.name === name);
    if (!found) throw new Error(`the journal has no process ${name}`);
    return found;
  }

  /** Forgets processes, also on a full disk: then an agent that comes after this one has to do it again. */
  forgetProcesses(names: readonly string[], rest: Partial<AgentJournalState> = {}): void {
    const left = this.#state.processes.filter((entry) => !names.includes(entry.spec.name));
    const next = { ...this.#state, ...rest, processes: left };
    try {
      writeFileAtomic(this.#file, JSON.stringify(next));
    } finally {
      this.#state = next;
    }
  }

  /** Back to idle, also on a full disk. The generation stays known. */
  forget(): void {
    const idle = { ...EMPTY_JOURNAL, generation: this.#state.generation };
    try {
      writeFileAtomic(this.#file, JSON.stringify(idle));
    } catch {
      rmSync(this.#file, { force: true });
    }
    this.#state = idle;
  }
}

function parseJournal(value: unknown, file: string): AgentJournalState {
  if (value === undefined) return EMPTY_JOURNAL;
  const schemaVersion = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new DynamoError(
      'STATE_VERSION',
      `${file} was written by another version of dynamo (format ${String(schemaVersion)}, not ${SCHEMA_VERSION})`,
    );
  }
  return value as AgentJournalState;
}
