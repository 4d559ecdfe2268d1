import { type DynamoError, messageOf } from '../base/errors.ts';
import { type DeploymentRecord, type NewDeploymentRecord, readRecord, writeRecord } from '../deployment/record.ts';
import type { EventLog } from '../supervise/event-log.ts';

/** The deployment's record while a controller owns it: in memory and in `deployment.json`. */
export class RecordKeeper {
  readonly #file: string;
  readonly #events: EventLog;
  readonly #changed: () => void;
  #record: DeploymentRecord | undefined;

  constructor(file: string, events: EventLog, changed: () => void) {
    this.#file = file;
    this.#events = events;
    this.#changed = changed;
  }

  /** Takes up what is on disk. Throws `STATE_VERSION` for a record of another format. */
  load(): void {
    this.#record = readRecord(this.#file);
  }

  get known(): DeploymentRecord | undefined {
    return this.#record;
  }

  /** The record of a deployment that is there. */
  get current(): DeploymentRecord {
    if (!this.#record) throw new Error('no deployment record');
    return this.#record;
  }

  /** Writes it, then makes it current. Throws `DISK_FULL` and changes nothing when it cannot be written. */
  write(record: NewDeploymentRecord): void {
    this.#record = writeRecord(this.#file, record);
    this.#changed();
  }

  /** As `write`, for some of its fields. */
  change(change: Partial<NewDeploymentRecord>): void {
    this.write({ ...this.current, ...change });
  }

  /** A full disk must not keep anything from being stopped: memory goes on, the file catches up. */
  setPhase(phase: DeploymentRecord['phase'], error: DynamoError | null = null): void {
    const isOver = phase === 'stopped' || phase === 'failed';
    this.note({ phase, error: error?.toJSON() ?? null, ...(isOver ? { change: null } : {}) });
  }

  /** As `change`, for what goes on also when it cannot be written. */
  note(change: Partial<NewDeploymentRecord>): void {
    const record = { ...this.current, ...change };
    this.#record = record;
    try {
      writeRecord(this.#file, record);
    } catch (cause) {
      this.#events.write('record', messageOf(cause));
    }
    this.#changed();
  }
}
