import { CommonBlocks } from './common-blocks.ts';
import type { CostTerms, CostWeights } from './cost.ts';
import { direct } from './policies/direct.ts';
import { kvAware } from './policies/kv.ts';
import { leastLoaded } from './policies/least-loaded.ts';
import { powerOfTwo } from './policies/power-of-two.ts';
import { randomChoice } from './policies/random.ts';
import { roundRobin } from './policies/round-robin.ts';
import type { Policy, RoutedWorker, RouteRequest, RouterMode } from './policy.ts';
import { PrefixMemory } from './prefix-memory.ts';
import type { Random } from './random.ts';
import { WorkerLoad } from './worker-load.ts';

/** Blocks remembered for a worker that does not say how many it has. */
const DEFAULT_WORKER_BLOCKS = 1_048_576;

export interface RouterOptions {
  mode: RouterMode;
  /** Tokens per block of the hashes that come in. */
  blockSize: number;
  weights: CostWeights;
  temperature: number;
  /** How long a worker is believed to keep a block it was not asked for again. */
  ttlMs: number;
  random: Random;
  /** Count prefill work as load: off for decode workers that receive their KV cache. */
  trackPrefillTokens: boolean;
  /** Count blocks of running requests as load: off for prefill workers, which keep none. */
  trackActiveBlocks: boolean;
  /** Blocks shared by running requests count once: off for decode workers. */
  sharedBlocksCountOnce: boolean;
}

/** A choice and everything it was based on. */
export interface Selection {
  worker: string;
  generation: number;
  mode: RouterMode;
  reason: string;
  /** Leading blocks of the prompt that the worker probably has. */
  overlapBlocks: number;
  promptTokens: number;
  /** Workers that could have been chosen. */
  candidates: string[];
  costs: CostTerms[];
}

/** The load of one dispatched request. Both calls may be repeated; `end` includes `firstToken`. */
export interface Booking {
  firstToken(): void;
  end(): void;
}

export interface SelectOptions {
  nowMs: number;
  /** Workers that can take the request now; all when absent. */
  eligible?: (worker: string, generation: number) => boolean;
  /** The caller's choice, which a policy cannot overrule. */
  pinned?: string | undefined;
}

/**
 * Chooses a worker for each request among those of one role: filter → cost → pick. Pure but for its own memory of what it
 * sent where; time comes in with every call, so it runs in virtual time as well.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #policy: Policy;
  readonly #commonBlocks = new CommonBlocks();
  readonly #workers = new Map<string, RoutedWorker>();
  #sorted: readonly RoutedWorker[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#policy = createPolicy(options.mode);
  }

  /** Whether requests need block hashes. */
  get usesBlocks(): boolean {
    return this.#policy.usesBlocks;
  }

  /** Adds a worker. A newer generation of a known one starts with an empty cache and no load; an older one is ignored. */
  addWorker(worker: { id: string; generation: number; totalBlocks?: number | null }): void {
    const known = this.#workers.get(worker.id);
    if (known && known.generation >= worker.generation) return;
    this.#workers.set(worker.id, {
      id: worker.id,
      generation: worker.generation,
      load: new WorkerLoad({ sharedBlocksCountOnce: this.#options.sharedBlocksCountOnce }),
      memory: new PrefixMemory({
        ttlMs: this.#options.ttlMs,
        maxBlocks: worker.totalBlocks ?? DEFAULT_WORKER_BLOCKS,
      }),
    });
    this.#sort();
  }

  /** Forgets a worker; a newer generation of it stays. */
  removeWorker(id: string, generation: number): void {
    const known = this.#workers.get(id);
    if (known === undefined || known.generation > generation) return;
    this.#workers.delete(id);
    this.#sort();
  }

  workers(): readonly RoutedWorker[] {
    return this.#sorted;
  }

  /** Chooses, without charging anything. Undefined when no worker can take the request. */
  select(request: RouteRequest, options: SelectOptions): Selection | undefined {
    const { eligible, pinned } = options;
    const candidates = this.#sorted.filter(
      (worker) =>
        (pinned === undefined || worker.id === pinned) &&
        (eligible === undefined || eligible(worker.id, worker.generation)),
    );
    if (candidates.length === 0) return undefined;
    const choice =
      pinned === undefined
        ? this.#policy.choose(request, candidates, {
            ...this.#options,
            nowMs: options.nowMs,
            commonBlocks: this.#commonBlocks,
          })
        : { worker: candidates[0]!, reason: 'pinned by the caller', costs: [] };
    const worker = choice.worker;
    const costs: CostTerms[] = choice.costs;
    return {
      worker: worker.id,
      generation: worker.generation,
      mode: this.#options.mode,
      reason: choice.reason,
      overlapBlocks:
        costs.find((terms) => terms.worker === worker.id)?.overlapBlocks ??
        worker.memory.overlap(request.blocks, options.nowMs),
      promptTokens: request.promptTokens,
      candidates: candidates.map((candidate) => candidate.id),
      costs,
    };
  }

  /** Charges the request to the selected worker and remembers its blocks there. */
  book(selection: Selection, request: RouteRequest, nowMs: number): Booking {
    const worker = this.#workers.get(selection.worker);
    if (worker === undefined || worker.generation !== selection.generation) return { firstToken() {}, end() {} };
    const { blockSize, trackPrefillTokens } = this.#options;
    const promptBlocks = Math.ceil(request.promptTokens / blockSize);
    const uncached = Math.max(0, request.promptTokens - selection.overlapBlocks * blockSize);
    let prefillTokens = trackPrefillTokens ? uncached : 0;
    const given = trackPrefillTokens ? uncached : request.promptTokens;
    worker.load.add(request.blocks, promptBlocks, prefillTokens, given, nowMs);
    worker.memory.touch(request.blocks, nowMs);
    this.#commonBlocks.note(request.blocks);
    let ended = false;
    const firstToken = (): void => {
      worker.load.removePrefill(prefillTokens);
      prefillTokens = 0;
    };
    return {
      firstToken,
      end: () => {
        firstToken();
        if (!ended) worker.load.remove(request.blocks, promptBlocks);
        ended = true;
      },
    };
  }

  #sort(): void {
    this.#sorted = [...this.#workers.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }
}

function createPolicy(mode: RouterMode): Policy {
  switch (mode) {
    case 'kv':
      return kvAware();
    case 'round-robin':
      return roundRobin();
    case 'random':
      return randomChoice();
    case 'least-loaded':
      return leastLoaded();
    case 'power-of-two':
      return powerOfTwo();
    case 'direct':
      return direct();
  }
}
