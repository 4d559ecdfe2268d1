import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError, type SerializedError } from '../base/errors.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';

const SCHEMA_VERSION = 1;

/**
 * `deployment.json`: what a deployment is and how far it got. Its controller writes it; everyone reads it.
 * `committed` may lag behind the commit record in discovery, which is the truth.
 */
export interface DeploymentRecord {
  schemaVersion: typeof SCHEMA_VERSION;
  name: string;
  recipeFile: string;
  recipeHash: string;
  /** The resolved recipe, to show what changed. */
  recipeText: string;
  plan: LaunchPlan;
  planHash: string;
  generation: number;
  phase: 'starting' | 'committed' | 'stopping' | 'stopped' | 'failed';
  startedAt: string;
  error: SerializedError | null;
}

export type NewDeploymentRecord = Omit<DeploymentRecord, 'schemaVersion'>;

/** Undefined when the deployment was never started. Throws `STATE_VERSION` for a record of another format. */
export function readRecord(file: string): DeploymentRecord | undefined {
  const value = readJsonFile(file);
  if (value === undefined) return undefined;
  const schemaVersion = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new DynamoError(
      'STATE_VERSION',
      `${file} was written by another version of dynamo (format ${String(schemaVersion)}, not ${SCHEMA_VERSION})`,
    );
  }
  return value as DeploymentRecord;
}

export function writeRecord(file: string, record: NewDeploymentRecord): DeploymentRecord {
  const full = { ...record, schemaVersion: SCHEMA_VERSION } as const;
  writeFileAtomic(file, JSON.stringify(full));
  return full;
}
