import type { ErrorCode } from '../base/errors.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { Check, DrainSpec, LivenessSpec } from '../plan/launch-plan.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { RecipePath } from '../recipe/recipe.ts';
import type { EngineName } from '../recipe/schema.ts';
import type { ChatTokens } from './chat-tokens.ts';
import type { KnownVersions } from './engine-version.ts';
import type { ModelUse } from './model/model-use.ts';
import type { PhaseSignature } from './start-phase.ts';
import type { EngineLaunch, WorkerPlacement, WorkerSettings } from './worker.ts';

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
  /** What SIGTERM does to it and therefore must come before; null where nothing is special. Shown with the plan. */
  stopping: string | null;
  /** What the user's settings get wrong, collide with or do not suit. Paths are below the group's. */
  check(worker: WorkerSettings): EngineFindings;
  /** What a prefill and a decode worker of one model get wrong together. */
  checkPair(prefill: WorkerSettings, decode: WorkerSettings): EngineFindings;
  /** How a worker uses its model, to be checked against the model's own configuration; null: nothing is known. */
  modelUse(worker: WorkerSettings): ModelUse | null;
  /** Names of all combinations the two checks may find: what `allow` can hold. */
  combinations: readonly string[];
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
  /** What its output says about how far its start is. */
  phases: readonly PhaseSignature[];
  /** Its own names for what everybody wants to know. */
  metrics: EngineMetrics;
  /** How it tells which tokens it makes of a chat. */
  chatTokens: ChatTokens;
  /** How the installed program lists its flags, for an argv of `launch`; null where they are checked otherwise. */
  help(argv: readonly string[]): EngineHelp | null;
}

export interface EngineCapabilities {
  /** Prefill and decode can be separate workers. */
  disaggregation: boolean;
  /** It can use GPUs; GPUs given to one that cannot are left free. */
  gpus: boolean;
  /** Somebody else runs it; dynamo only looks at it and sends it requests. */
  external: boolean;
  /** Several of its workers can live on one GPU. */
  sharesGpu: boolean;
  /** Why a worker of it cannot span several hosts; null: it can. */
  oneHostOnly: string | null;
  /** A worker goes on when a peer of it was restarted; otherwise the two sides of a pair must restart together. */
  survivesPeerRestart: boolean;
  /** A request for several answers (`n` above 1) can be split into two legs; otherwise one worker serves it whole. */
  splitsSeveralAnswers: boolean;
}

/** Commands that print the version, and every flag, of the installed program. */
export interface EngineHelp {
  version: string[];
  help: string[];
  /** Python package behind the program, as its `.dist-info` folder is named; null where there is none. */
  distribution: string | null;
  /** Null: nobody has tied it to versions. */
  versions: KnownVersions | null;
}

/** Where a worker's metrics are and what they are called; null for what an engine does not count. */
export interface EngineMetrics {
  /** Path of the metrics in Prometheus' text format; null when there are none. */
  path: string | null;
  requestsRunning: string | null;
  requestsWaiting: string | null;
  /** Requests that came to an end, however. */
  requestsFinished: string | null;
  /** Share of the KV cache in use, 0 to 1. */
  kvCacheUsage: string | null;
  /** Tokens of prompts that were found in the cache. */
  cachedTokens: string | null;
  promptTokens: string | null;
  generatedTokens: string | null;
  /** Counts KV transfers that arrived at a decode worker. */
  transfers: string | null;
  /** Count KV transfers that failed. */
  failedTransfers: readonly string[];
  /** How it states the size of its KV cache: labels of one metric, or metrics of their own. */
  kvCacheSize:
    | { metric: string; blockSizeLabel: string; blocksLabel: string }
    | { blockSize: string; blocks: string }
    | null;
}

export interface EngineDefaults {
  startTimeoutMs: number;
  liveness: LivenessSpec;
  drain: DrainSpec;
}

/** `count` neighbouring ports, the first of them named by purpose. */
export interface PortWish {
  purpose: string;
  /** Lowest port to try. */
  from: number;
  count: number;
  /** On several hosts only the leader listens on them. Otherwise all do, on the same numbers. */
  leaderOnly?: true;
  /** A restart takes another port: each one, or where a stranger has this one. Absent: it waits for the port. */
  moves?: 'always' | 'whenTaken';
}

export interface EngineFindings {
  problems: RecipeIssue[];
  warnings: string[];
  /** Settings that are known not to work together, or only sometimes. The recipe's `allow` can overrule each by name. */
  combinations?: FoundCombination[];
}

export interface FoundCombination {
  /** What `allow` calls it. */
  name: string;
  /** `broken` is refused, `risky` is warned of. */
  verdict: 'broken' | 'risky';
  path: RecipePath;
  message: string;
}

/** A failure that is known by a line of output. */
export interface FailureSignature {
  pattern: RegExp;
  /** Error the failure becomes; PORT_IN_USE makes the agent try another port where the recipe leaves it open. */
  code: ErrorCode;
  cause: string;
  fix: string;
  /** The process does not end of it, and never becomes ready either. */
  hangs?: true;
  /** Of `PORT_IN_USE`: finds the port in a line that `pattern` matches, as its first group. Numbers that are no port of the process do not count. */
  port?: RegExp;
  /** Of `PORT_IN_USE`: what the port may be for where no line names it. Absent: anything. */
  purposes?: readonly string[];
}

/** The best-known reason in the last lines of a failed process; `undefined` when none is recognised. */
export function diagnose(engine: Engine, lines: readonly string[]): FailureSignature | undefined {
  // In the order of the table: a later line often only reports the consequence of an earlier one.
  return engine.failures.find((failure) => lines.some((line) => failure.pattern.test(line)));
}

/** The port that a failure is about, out of those of its process by purpose; `undefined` where no line names one of them. */
export function toldPort(
  { pattern, port }: FailureSignature,
  lines: readonly string[],
  ports: Readonly<Record<string, number>>,
): { purpose: string; port: number } | undefined {
  if (!port) return undefined;
  for (const line of lines.filter((line) => pattern.test(line)))
    for (const [, digits] of line.matchAll(port)) {
      const purpose = Object.keys(ports).find((key) => ports[key] === Number(digits));
      if (purpose !== undefined) return { purpose, port: Number(digits) };
    }
  return undefined;
}

/** A failure in the output of a process that goes on all the same: there is no use in waiting for it. */
export function diagnoseHang(engine: Engine, lines: readonly string[]): FailureSignature | undefined {
  return engine.failures.find((failure) => failure.hangs && lines.some((line) => failure.pattern.test(line)));
}
