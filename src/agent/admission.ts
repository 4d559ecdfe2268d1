import { raceAbort, sleep } from '../base/abort.ts';
import { backoffDelay } from '../base/backoff.ts';
import { DynamoError, type ErrorCode, messageOf } from '../base/errors.ts';
import type { InstanceRecord } from '../discovery/discovery.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
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
  /** One of this host; undefined: it has none of that name. */
  process(name: string): GangProcess | undefined;
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
      const failed = await this.#proveWithPeers(process, peers, signal);
      failedPeers = failed.map((peer) => ({ name: peer.name, generation: peer.generation }));
      this.#rememberPairs();
    }
    await this.#whenStoreAnswers(process, signal, () =>
      this.#publication.publish(spec, generation, signal, failedPeers),
    );
  }

  /**
   * Where an engine's workers do not get on with the next life of a peer, those that cannot hand over are restarted, too: one at a
   * time, drained first, while the others serve. Only this host's: pairs with those of other hosts are kept apart.
   */
  async #proveWithPeers(
    process: GangProcess,
    peers: readonly InstanceRecord[],
    signal: AbortSignal,
  ): Promise<InstanceRecord[]> {
    const { spec } = process;
    // Those of this host first: the controller looks after the others when these are known.
    const inOrder = peers.toSorted((a, b) => Number(b.host === spec.host) - Number(a.host === spec.host));
    const stale = survivesPeerRestart(spec) ? [] : await this.#prover.failingPeers(spec, inOrder, signal);
    if (stale.length === 0 && !survivesPeerRestart(spec)) return [];
    const own = stale.flatMap((peer) => this.#context.process(peer.name) ?? []).filter(canRecycle);
    if (own.length === 0) return this.#prover.proveWithPeers(spec, peers, signal);
    for (const peer of own) await this.#recycle(process, peer, signal);
    const now = await this.#whenStoreAnswers(process, signal, () => this.#publication.peersOf(spec));
    return this.#prover.proveWithPeers(spec, now, signal);
  }

  /** As if it had ended by itself, so that it comes back whatever becomes of this agent. */
  async #recycle(process: GangProcess, peer: GangProcess, signal: AbortSignal): Promise<void> {
    const { name } = peer.spec;
    process.waitFor(`the restart of ${name}, which knows its last life`);
    if (peer.state === 'ready') {
      const reason = `${process.spec.name} was restarted, and ${name} cannot hand over with its new life`;
      this.#context.events.write('recycle', `${reason}: restarting it too`, name);
      peer.markDraining('its requests in flight');
      await this.#publication.drain(peer.spec, peer.spec.drain.inFlightMs);
      signal.throwIfAborted();
      peer.fail(reason);
    }
    // One that never comes back has a story of its own; the proof that follows says what is left.
    await raceAbort(peer.whenReady(), signal).catch(() => signal.throwIfAborted());
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

const survivesPeerRestart = ({ engine }: ProcessSpec): boolean =>
  !isEngineName(engine) || findEngine(engine).capabilities.survivesPeerRestart;

/** One that would not be started again stays. */
const canRecycle = ({ spec }: GangProcess): boolean => spec.restart.policy !== 'never' && spec.external !== true;
