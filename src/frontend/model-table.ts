import type { WorkerRole } from '../base/role.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { Router } from '../routing/router.ts';
import { createRoleRouter, type RouterSettings } from '../routing/router-roles.ts';
import type { KnownInstance } from './instances/instance-table.ts';

/** One served model: a router per worker role, made when the first worker of that role appears. */
export interface ServedModel {
  readonly name: string;
  readonly routers: Map<WorkerRole, Router>;
  /** Engine of its workers, for how prompts become tokens. */
  engine: string | null;
  /** How its prefill and decode workers hand over. */
  kvTransfer: KvTransferDialect | null;
  /** Longest context that all of its workers take; null where none says. */
  readonly maxModelLen: number | null;
  /** Unix seconds. */
  readonly createdAt: number;
}

class KnownModel implements ServedModel {
  readonly name: string;
  readonly routers = new Map<WorkerRole, Router>();
  readonly createdAt = Math.floor(Date.now() / 1_000);
  engine: string | null;
  kvTransfer: KvTransferDialect | null = null;
  /** By worker. */
  readonly lengths = new Map<string, number | null>();

  constructor(name: string, engine: string | null) {
    this.name = name;
    this.engine = engine;
  }

  get maxModelLen(): number | null {
    const known = [...this.lengths.values()].filter((length) => length !== null);
    return known.length === 0 ? null : Math.min(...known);
  }
}

/** Served models by name. A model stays known while it has a worker. */
export class ModelTable {
  readonly #models = new Map<string, KnownModel>();
  readonly #seen = new Set<string>();
  readonly #settings: RouterSettings;

  constructor(settings: RouterSettings) {
    this.#settings = settings;
  }

  get(name: string): ServedModel | undefined {
    return this.#models.get(name);
  }

  list(): ServedModel[] {
    return [...this.#models.values()];
  }

  /** Whether a model of that name has been served here before: it is missing now rather than unknown. */
  hasSeen(name: string): boolean {
    return this.#seen.has(name);
  }

  addWorker(instance: KnownInstance): void {
    const { record } = instance;
    const name = record.model;
    if (name === null) return;
    const model = this.#models.get(name) ?? new KnownModel(name, record.engine);
    this.#models.set(name, model);
    this.#seen.add(name);
    model.engine = record.engine;
    model.kvTransfer = record.kvTransfer ?? model.kvTransfer;
    model.lengths.set(record.name, record.maxModelLen);
    const role = record.role as WorkerRole;
    const router = model.routers.get(role) ?? createRoleRouter(role, this.#settings);
    model.routers.set(role, router);
    router.addWorker({
      id: record.name,
      generation: record.generation,
      totalBlocks: this.#blocksOf(record.kvTotalBlocks, record.kvBlockSize),
    });
  }

  removeWorker(instance: KnownInstance): void {
    const { record } = instance;
    const model = this.#models.get(record.model ?? '');
    if (model === undefined) return;
    model.lengths.delete(record.name);
    for (const [role, router] of model.routers) {
      router.removeWorker(record.name, record.generation);
      if (router.workers().length === 0) model.routers.delete(role);
    }
    if (model.routers.size === 0) this.#models.delete(model.name);
  }

  /** The worker's capacity in blocks of the router's size. */
  #blocksOf(totalBlocks: number | null, blockSize: number | null): number | null {
    if (totalBlocks === null) return null;
    return Math.floor((totalBlocks * (blockSize ?? this.#settings.blockSize)) / this.#settings.blockSize);
  }
}

/** Why a model cannot take requests now; undefined when it can. */
export function unservable(
  model: ServedModel,
  isUsable: (worker: string) => boolean,
  decodeFallback: boolean,
): string | undefined {
  const has = (role: WorkerRole) =>
    model.routers
      .get(role)
      ?.workers()
      .some(({ id }) => isUsable(id)) ?? false;
  if (has('aggregated') || (has('prefill') && has('decode'))) return undefined;
  if (has('decode')) return decodeFallback ? undefined : 'no prefill worker is ready';
  return has('prefill') ? 'no decode worker is ready' : 'no worker is ready';
}
