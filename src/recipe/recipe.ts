import type { WorkerRole } from '../base/role.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { EnvValue } from '../yaml/env-value.ts';
import type { DiscoveryFile, EngineName, FrontendFile, HooksFile, ModelFile, WorkerGroupFile } from './schema.ts';

/**
 * A recipe in one shape, whatever way it was written: always a list of models, each with a flat list of worker groups.
 * The leaves are the schema's types: durations are milliseconds, sizes are bytes. What depends on an engine is still open
 * (undefined); the plan fills it.
 */
export interface Recipe {
  name: string;
  description: string | null;
  models: ModelRecipe[];
  frontend: FrontendRecipe;
  discovery: DiscoveryRecipe;
  /** Absolute path of a hosts file, or the hosts themselves; null: this machine. */
  hosts: string | HostEntry[] | null;
  /** Null: as dynamo does. */
  logs: { maxSize: number; keep: number } | null;
  /** Absent: none, as in every recipe before there were any. */
  hooks?: HooksRecipe;
  slo: Slo | null;
  /** Milliseconds. */
  startLease: number;
}

/** Commands by what they are run for. */
export type HooksRecipe = { [event in keyof HooksFile]?: HookRecipe };

export interface HookRecipe {
  command: string[];
  /** Milliseconds. */
  timeout: number;
  env: Record<string, EnvValue>;
}

export interface ModelRecipe {
  /** Where it stands in the recipe. */
  path: RecipePath;
  model: string;
  servedModelName: string;
  kvTransfer: KvTransferRecipe;
  kvEvents: boolean;
  /** Combinations to start all the same, by name. */
  allow: string[];
  slo: Slo | null;
  groups: WorkerGroupRecipe[];
}

export interface WorkerGroupRecipe
  extends Omit<WorkerGroupFile, 'engine' | 'restart' | 'command' | 'kvOffload' | 'load'> {
  path: RecipePath;
  role: WorkerRole;
  engine: EngineName;
  restart: RestartRecipe;
  command: string[] | null;
  kvOffload: KvOffloadRecipe | null;
  load: LoadRecipe | null;
}

export interface FrontendRecipe extends Omit<FrontendFile, 'restart'> {
  restart: RestartRecipe;
}

export interface KvTransferRecipe {
  connector: 'nixl' | 'none';
  /** Milliseconds; undefined: the engine's own. */
  lease: number | undefined;
  loadFailurePolicy: 'fail' | 'recompute';
}

/** `ttl` is milliseconds. */
export type DiscoveryRecipe = FileDiscoveryRecipe | EtcdDiscoveryRecipe;

export interface FileDiscoveryRecipe extends Pick<DiscoveryFile, 'ttl' | 'root'> {
  backend: 'file';
}

export interface EtcdDiscoveryRecipe extends Pick<DiscoveryFile, 'ttl' | 'prefix' | 'tls' | 'user' | 'password'> {
  backend: 'etcd';
  /** Empty when it is managed. */
  endpoints: string[];
  managed: ManagedEtcdRecipe | null;
}

export type ManagedEtcdRecipe = Extract<NonNullable<DiscoveryFile['managed']>, object>;

/** Sizes are bytes. */
export type KvOffloadRecipe = NonNullable<WorkerGroupFile['kvOffload']>;
export type LoadRecipe = Extract<NonNullable<WorkerGroupFile['load']>, object>;
export type RecipePath = readonly (string | number)[];
export type Slo = NonNullable<ModelFile['slo']>;
export type RestartRecipe = Extract<NonNullable<WorkerGroupFile['restart']>, object>;
export type EngineArgs = WorkerGroupFile['args'];
export type EngineArgValue = EngineArgs[string];
