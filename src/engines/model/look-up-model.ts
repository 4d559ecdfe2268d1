import type { WorkerSettings } from '../worker.ts';
import { findModel, type ModelFinding } from './find-model.ts';
import { type ModelConfig, readModelConfig } from './model-config.ts';
import type { ModelUse } from './model-use.ts';

/** What is known of the model of one worker group before anything starts. Plain data. */
export interface KnownModel {
  finding: ModelFinding;
  /** Null: there is none, or it is not one. */
  config: ModelConfig | null;
  /** The worker runs on this machine: what is not here is nowhere. */
  mustBeHere: boolean;
}

/** By the path of the worker group that uses it. */
export type KnownModels = Readonly<Record<string, KnownModel>>;

/** Reads what the engine would read. `env` is this machine's; the worker's own variables come before it. */
export function lookUpModel(
  worker: WorkerSettings,
  use: ModelUse,
  options: { env: NodeJS.ProcessEnv; mustBeHere: boolean },
): KnownModel {
  const own = Object.entries(worker.env).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const found = findModel(worker.model, { ...options.env, ...Object.fromEntries(own) }, use.revision);
  if (found.kind !== 'found') return { finding: found, config: null, mustBeHere: options.mustBeHere };
  const { json, ...finding } = found;
  return { finding, config: readModelConfig(json, use.overrides) ?? null, mustBeHere: options.mustBeHere };
}
