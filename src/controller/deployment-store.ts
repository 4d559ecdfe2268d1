import { messageOf } from '../base/errors.ts';
import type { DeploymentRecord } from '../deployment/record.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { OpenHost } from './agent-host.ts';
import type { CommitStore } from './commit-store.ts';
import { openCommitStore } from './open-commit-store.ts';

export interface DeploymentStoreOptions {
  hosts(): readonly HostEntry[];
  openHost: OpenHost;
  /** Folder of the file backend on this machine. */
  root: string;
  events: EventLog;
}

/** The discovery store of the deployment's plan, opened when it is first needed; one at a time. */
export class DeploymentStore implements AsyncDisposable {
  readonly #options: DeploymentStoreOptions;
  #store: CommitStore | undefined;

  constructor(options: DeploymentStoreOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#store !== undefined;
  }

  /** Throws `DISCOVERY_UNREACHABLE`, unless it may be away. */
  async open({ plan }: Pick<DeploymentRecord, 'plan'>, mayBeAway: boolean): Promise<CommitStore> {
    const { hosts, openHost, root } = this.#options;
    this.#store ??= await openCommitStore(plan, { hosts: hosts(), openHost, root, mayBeAway });
    return this.#store;
  }

  /** Takes every record of the deployment out of it for good. A store that the deployment ran itself has gone with it. */
  async empty(record: DeploymentRecord): Promise<void> {
    if (record.plan.discovery.backend === 'etcd' && record.plan.discovery.managed) return;
    try {
      const store = await this.open(record, true);
      await store.clear({ forGood: true });
    } catch (error) {
      this.#options.events.write('records-left', `records of ${record.name} stay in the store: ${messageOf(error)}`);
    }
  }

  /** The store of the next plan may be another. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store?.[Symbol.asyncDispose]();
    this.#store = undefined;
  }
}
