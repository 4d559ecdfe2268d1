import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError } from '../base/errors.ts';
import { ownerName } from '../deployment/owner.ts';
import type { EventLog } from '../supervise/event-log.ts';

/**
 * Two launchers, or one that was suspended, cannot fight: the highest epoch of an owner wins and is remembered on disk. Epochs of
 * two owners say nothing about each other: whoever has something running stays, and an idle host is anybody's.
 */
export class HighestEpoch {
  readonly #file: string;
  readonly #events: EventLog;
  #epoch = 0;
  #owner: string | undefined;
  /** The highest of owners before: one whose successor was here must not come back when somebody else has been. */
  #earlier: Record<string, number> = {};

  constructor(file: string, events: EventLog) {
    this.#file = file;
    this.#events = events;
    // An earlier release wrote the number alone.
    const found = readJsonFile(file) as
      | number
      | { epoch: number; owner?: string; earlier?: Record<string, number> }
      | undefined;
    if (typeof found === 'object' && found !== null)
      ({ epoch: this.#epoch, owner: this.#owner, earlier: this.#earlier = {} } = found);
    else this.#epoch = Number(found ?? 0);
  }

  /**
   * `running`: what there is to protect, null while there is nothing; an owner is absent from a controller of an earlier release.
   * Throws `SUPERSEDED` for an epoch that is over, `DEPLOYMENT_BUSY` for another owner than that of what runs.
   */
  admit(epoch: number, owner: string | undefined, running: string | null): void {
    const isOther = owner !== undefined && this.#owner !== undefined && owner !== this.#owner;
    if (isOther && running !== null) {
      throw new DynamoError('DEPLOYMENT_BUSY', `${running} that ${ownerName(this.#owner ?? '')} started`, {
        hint: 'Stop it there with `dynamo stop`, from here with `dynamo stop NAME --hosts FILE --yes`, or use another --name.',
      });
    }
    const highest = isOther ? (this.#earlier[owner] ?? 0) : this.#epoch;
    if (epoch < highest) throw new DynamoError('SUPERSEDED', `epoch ${epoch} is over: this agent has seen ${highest}`);
  }

  /** On a full disk it is remembered until this agent ends: a deployment must be stoppable without a free byte. */
  take(epoch: number, owner: string | undefined = this.#owner): void {
    if (epoch === this.#epoch && owner === this.#owner) return;
    if (this.#owner !== undefined && owner !== this.#owner) this.#earlier[this.#owner] = this.#epoch;
    this.#epoch = epoch;
    this.#owner = owner;
    try {
      writeFileAtomic(this.#file, JSON.stringify({ epoch, owner, earlier: this.#earlier }));
    } catch (error) {
      if (!(error instanceof DynamoError) || error.code !== 'DISK_FULL') throw error;
      this.#events.write('epoch', error.message);
    }
  }
}
