import type { ErrorCode } from '../base/errors.ts';
import type { WorkerRole } from '../base/role.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { Check, DrainSpec, EnvValue, LivenessSpec } from '../plan/launch-plan.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { EngineArgs, KvTransferRecipe, RecipePath } from '../recipe/recipe.ts';
import type { EngineName } from '../recipe/schema.ts';

/**
 * The port behind which every engine stands: what to run for a worker of a recipe, how to tell that it works, and what its
 * known failures mean. An adapter is pure data and pure functions; agents run what it says.
 */
export interface Engine {
  name: EngineName;
  /** Program that must be on the host; null: dynamo itself. */
  command: { name: string; installHint: string } | null;
  capabilities: EngineCapabilities;
  defaults: EngineDefaults;
  /** What the user's settings get wrong, collide with or do not suit. Paths are below the group's. */
  check(worker: WorkerSettings): EngineFindings;
  /** GPUs of one worker when the recipe does not say. */
  defaultGpus(worker: WorkerSettings): number;
  /** Ports of one worker by purpose; `http` is always among them. */
  ports(worker: WorkerSettings): PortWish[];
  /** Command line and environment. */
  launch(worker: WorkerSettings, placement: WorkerPlacement): EngineLaunch;
  /** All must pass, in order, before the worker counts as ready. */
  readiness(worker: WorkerSettings): Check[];
  /** How its KV cache is handed over; null for none. */
  kvTransfer(worker: WorkerSettings): KvTransferDialect | null;
  /** Tokens in a KV block; null when only the running engine knows. */
  kvBlockSize(worker: WorkerSettings): number | null;
  /** What its known failures look like in its output. */
  failures: readonly FailureSignature[];
}

export interface EngineCapabilities {
  /** Prefill and decode can be separate workers. */
  disaggregation: boolean;
  /** It can use GPUs; GPUs given to one that cannot are left free. */
  gpus: boolean;
}

export interface EngineDefaults {
  startTimeoutMs: number;
  liveness: LivenessSpec;
  drain: DrainSpec;
}

/** One worker as the recipe describes it. */
export interface WorkerSettings {
  /** Where its group stands in the recipe. */
  path: RecipePath;
  role: WorkerRole;
  model: string;
  servedModelName: string;
  args: EngineArgs;
  env: Record<string, EnvValue>;
  /** Undefined: the recipe does not say. */
  gpus: number | undefined;
  /** What to run in place of the engine's usual program. */
  command: readonly string[] | null;
  kvTransfer: KvTransferRecipe;
}

/** What the plan has decided for one worker. */
export interface WorkerPlacement {
  /** Address of its host. */
  address: string;
  ports: Record<string, number>;
  gpus: readonly number[];
  /** argv prefix that runs dynamo. */
  selfCommand: readonly string[];
  startTimeoutMs: number;
}

export interface EngineLaunch {
  argv: string[];
  env: Record<string, EnvValue>;
  /** Why the adapter added what it added. */
  reasons: string[];
}

/** `count` neighbouring ports, the first of them named by purpose. */
export interface PortWish {
  purpose: string;
  /** Lowest port to try. */
  from: number;
  count: number;
}

export interface EngineFindings {
  problems: RecipeIssue[];
  warnings: string[];
}

/** A failure that is known by a line of output. */
export interface FailureSignature {
  pattern: RegExp;
  /** Error the failure becomes; PORT_IN_USE makes the agent try another port where the recipe leaves it open. */
  code: ErrorCode;
  cause: string;
  fix: string;
}

/** The best-known reason in the last lines of a failed process; `undefined` when none is recognised. */
export function diagnose(engine: Engine, lines: readonly string[]): FailureSignature | undefined {
  // In the order of the table: a later line often only reports the consequence of an earlier one.
  return engine.failures.find((failure) => lines.some((line) => failure.pattern.test(line)));
}
