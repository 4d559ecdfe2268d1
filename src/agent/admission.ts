import { sleep } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import { DynamoError, type ErrorCode, messageOf } from '../base/errors.ts';
import { isFollower } from '../plan/worker-group.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { AgentJournal } from './agent-journal.ts';
import type { PairProver } from './pair-prover.ts';
import type { GangProcess } from './process-context.ts';
import type { Publication } from './publication.ts';

/** The store's fault, not the worker's. */
const STORE_TROUBLE: ReadonlySet<ErrorCode> = new Set(['DISCOVERY_UNREACHABLE', 'DISK_FULL']);
const STORE_BACKOFF = { initialMs: 200, maxMs: 5_000, factor: 2 };

export interface AdmissionContext {
  journal: AgentJournal;
  events: EventLog;
  random(): number;
}

/** Lets a process that came back after the commit take requests again: its pairs are proven first, then it is published. */
export class Admission {
  readonly #context: AdmissionContext;
  readonly #publication: Publication;
  readonly #prover: PairProver;

  constructor(context: AdmissionContext, publication: Publication, prover: PairProver) {
    this.#context = context;
    this.#publication = publication;
    this.#prover = prover;
  }

  /** One that was published before merely returns. Rejects when not one of its pairs moves blocks. */
  async admit(process: GangProcess, signal: AbortSignal): Promise<void> {
    const { spec, generation } = process;
    if (isFollower(spec)) return; // the leader of its worker serves, and is published
    const before = await this.#whenStoreAnswers(process, signal, () =>
      this.#publication.published(spec.name, generation),
    );
    let failedPeers = before?.failedPeers ?? [];
    if (!before) {
      const peers = await this.#whenStoreAnswers(process, signal, () => this.#publication.peersOf(spec));
      const failed = await this.#prover.proveWithPeers(spec, peers, signal);
      failedPeers = failed.map((peer) => ({ name: peer.name, generation: peer.generation }));
      this.#rememberPairs();
    }
    await this.#whenStoreAnswers(process, signal, () =>
      this.#publication.publish(spec, generation, signal, failedPeers),
    );
  }

  /** A worker is not to blame for a discovery store that cannot be reached: it waits, and nothing is restarted for it. */
  async #whenStoreAnswers<T>(process: GangProcess, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await action();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof DynamoError) || !STORE_TROUBLE.has(error.code)) throw error;
        const { name } = process.spec;
        if (attempt === 0) this.#context.events.write('discovery', `waiting for the store: ${error.message}`, name);
        process.waitFor(`the discovery store: ${error.message}`);
        await sleep(backoffDelay(STORE_BACKOFF, attempt, this.#context.random()), signal);
      }
    }
  }

  /** For the status after this agent; not worth failing for. */
  #rememberPairs(): void {
    try {
      this.#context.journal.write({ pairs: this.#prover.snapshots() });
    } catch (error) {
      this.#context.events.write('journal', messageOf(error));
    }
  }
}
