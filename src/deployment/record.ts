import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { DynamoError, type SerializedError } from '../base/errors.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { LaunchPlan, PairSpec, ProcessSpec } from '../plan/launch-plan.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import type { ScaleStep } from '../plan/scale-targets.ts';
import type { StartRequest } from '../supervise/protocol.ts';
import type { StepSnapshot } from './snapshot.ts';

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
  /** Where the time of the start went; absent before the commit. */
  startSteps?: StepSnapshot[];
  error: SerializedError | null;
  /** Hosts of the plan that are not this machine; absent when there are none. */
  hosts?: HostEntry[];
  /** The others of its hosts file: they may get workers later. */
  spareHosts?: HostEntry[];
  /** What the plan was made of: a change of what runs is planned from it. Absent in a record of an earlier release. */
  planInput?: PlanInput;
  /** Changes of what this generation runs so far; a commit record in discovery each. */
  revision?: number;
  /** How far what runs is from the recipe; absent as long as nobody has scaled it. */
  scaled?: ScaledNote | null;
  /** A change under way, written down before anything of it is done. */
  change?: PendingChange | null;
  /** Of a stop that is not finished: hosts on which nothing is left. */
  stoppedHosts?: string[];
  /** It is on its way to another recipe, one process after the other. */
  rolling?: RollingRecord | null;
}

/** A rolling replacement under way: each of its steps is a change. */
export interface RollingRecord {
  /** What it shall become. */
  request: StartRequest;
  /** Go on where the only one of a kind must go before its successor is there. */
  replace: boolean;
  /** Workers and frontends that still run with other settings, by the leader's name. */
  stale: string[];
  /** One that is out while its successor is brought up: what it was, in case that fails. */
  out: { specs: ProcessSpec[]; plan: LaunchPlan; planInput: PlanInput } | null;
  /** Why it does not go on; null while it does. */
  problem: string | null;
}

/** Groups that have another number of workers than their recipe says. */
export interface ScaledNote {
  at: string;
  groups: ScaleStep[];
}

/** What `plan` and `planInput` become, and the way there. */
export interface PendingChange {
  revision: number;
  planHash: string;
  /** For people: `prefill 1 → 3`. */
  what: string;
  plan: LaunchPlan;
  planInput: PlanInput;
  scaled: ScaledNote | null;
  /** New processes, which of them start together, and the pairs to prove. */
  added: ProcessSpec[];
  stages: string[][];
  pairs: PairSpec[];
  /** Names of processes that go. */
  removed: string[];
  /** What `rolling` becomes once it is done; absent: it stays. */
  rolling?: RollingRecord;
}

export type NewDeploymentRecord = Omit<DeploymentRecord, 'schemaVersion'>;

/**
 * Undefined when the deployment was never started. Throws `STATE_VERSION` for a record of another format, `STATE_UNREADABLE` for one that
 * cannot be read or is none.
 */
export function readRecord(file: string): DeploymentRecord | undefined {
  let value: unknown;
  try {
    value = readJsonFile(file);
  } catch (error) {
    if (error instanceof DynamoError && error.cause instanceof SyntaxError) throw damaged(file, error);
    throw error;
  }
  if (value === undefined) return undefined;
  const schemaVersion = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof schemaVersion !== 'number') throw damaged(file, undefined);
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new DynamoError(
      'STATE_VERSION',
      `${file} was written by ${schemaVersion > SCHEMA_VERSION ? 'a newer' : 'an older'} version of dynamo (format ${schemaVersion}, not ${SCHEMA_VERSION})`,
    );
  }
  return value as DeploymentRecord;
}

/** Records are replaced in one step, so this is a disk's or a person's doing. */
function damaged(file: string, cause: unknown): DynamoError {
  const dir = path.dirname(file);
  return new DynamoError('STATE_UNREADABLE', `${file} is damaged: it is no record of a deployment`, {
    hint: `\`dynamo stop ${path.basename(dir)}\` still works while its controller runs. Else end what runs and remove ${dir}.`,
    cause,
  });
}

export function writeRecord(file: string, record: NewDeploymentRecord): DeploymentRecord {
  const full = { ...record, schemaVersion: SCHEMA_VERSION } as const;
  writeFileAtomic(file, JSON.stringify(full));
  return full;
}
