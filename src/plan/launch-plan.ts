import type { Backoff } from '../base/backoff.ts';
import type { Role } from '../base/role.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';

/** Everything a start needs to know, computed from recipe, hosts and facts. Plain data: it is stored, hashed and sent to agents. */
export interface LaunchPlan {
  /** Name of the deployment. */
  deployment: string;
  /** Served model names, in recipe order. */
  models: string[];
  /** Hosts that run something, in order. `local` is this machine. */
  hosts: string[];
  /** Every process, in start order. */
  processes: ProcessSpec[];
  /** Names of processes started together; a stage starts when all of the one before are ready. */
  stages: string[][];
  /** Prefill×decode pairs to prove before the first request is admitted. */
  pairs: PairSpec[];
  /** Where clients connect: `http://127.0.0.1:8000`. */
  endpoint: string;
  discovery: DiscoverySpec;
  /** How long an agent keeps an uncommitted start alive without hearing from a controller. */
  startLeaseMs: number;
  /** Commands the controller runs; absent: none. */
  hooks?: HooksSpec;
  /** Things the user should know; shown once at start. */
  warnings: string[];
}

export type HookEvent = 'onReady' | 'onFailure' | 'onStop';
export type HooksSpec = { [event in HookEvent]?: HookSpec };

export interface HookSpec {
  argv: string[];
  /** Milliseconds until it is killed. */
  timeoutMs: number;
  env: Record<string, EnvValue>;
}

/** Where records lie: the same for every process of the deployment. Files and variables are named, and read where they are used. */
export type DiscoverySpec = FileDiscoverySpec | EtcdDiscoverySpec;

export interface FileDiscoverySpec {
  backend: 'file';
  ttlMs: number;
  /** Folder that all hosts share; absent: below the state folder. */
  root?: string;
}

export interface EtcdDiscoverySpec {
  backend: 'etcd';
  ttlMs: number;
  /** `http://10.0.0.1:2379`, or all of them `https://`. */
  endpoints: string[];
  prefix?: string;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  user?: string;
  passwordFrom?: { fromEnv: string } | { fromFile: string };
  /** Etcd is part of the deployment: processes of role `store`, by name, first to start and last to end. */
  managed?: { members: string[] };
}

export interface PairSpec {
  prefill: string;
  decode: string;
}

export interface ProcessSpec {
  /** `frontend`, `prefill-0`, `decode-1`: unique in the deployment. */
  name: string;
  role: Role;
  host: string;
  /** Served model name; null for frontends and routers. */
  model: string | null;
  /** Engine adapter; null for dynamo's own processes other than the mocker. */
  engine: string | null;
  /** Empty when it is `external`. */
  argv: string[];
  /** Somebody else runs it: it is probed and published, never started and never signalled. */
  external?: boolean;
  env: Record<string, EnvValue>;
  cwd: string | null;
  /** By purpose: `http`, `sideChannel`, `kvEvents`. */
  ports: Record<string, number>;
  /** Purposes whose port the user wrote down; the others may be chosen anew when taken. */
  fixedPorts: string[];
  /** Ports that a restart takes anew, always or when somebody else has them. Absent: none. */
  freshPorts?: FreshPort[];
  /** What of `argv` and `env` is made of its ports, so that a port that moves is written in again. Absent: nothing. */
  portTexts?: PortText[];
  /** Indices of GPUs on the host, held by a lock while the process lives. */
  gpus: number[];
  /** Base address for probes and requests. */
  url: string;
  /** Checks in order; all must pass before the process counts as ready. */
  readiness: Check[];
  /** Checked all `periodMs` after ready; `failures` misses in a row count as a failure of the process. Null: never. */
  liveness: LivenessSpec | null;
  /** Milliseconds from spawn to ready. */
  startTimeoutMs: number;
  restart: RestartSpec;
  drain: DrainSpec;
  kvTransfer: KvTransferDialect | null;
  kvBlockSize: number | null;
  /** The model has more than one kind of KV cache, as its own configuration says; absent where that is not known. */
  hybridKv?: boolean;
  /** It is part of a worker that spans several hosts. Absent: it is a worker of its own. */
  group?: GroupMember;
  /** What to do when `argv[0]` is not installed. */
  installHint?: string;
  /** How its log is kept; absent: 64 MiB and three older ones. */
  log?: LogSpec;
  /** Files written before it starts; a word of argv may name one as `{file:NAME}`. */
  files?: LaunchFile[];
  /**
   * Words of argv that name files of the machine that starts the deployment. Where their content was sent, the agent writes it to a file
   * of its own (mode 0600, removed by a stop or an undo) and names that instead.
   */
  sentFiles?: string[];
  /** Folder of its data, below the deployment's: kept over restarts, removed by a stop or an undo. */
  dataDir?: string;
  /** Why it is where it is and has what it has, one sentence each. */
  reasons: string[];
}

/**
 * A port that a restarted process must not share with the one before it, because peers may still address that one there; or one
 * that it can do without when a stranger has taken it. The agent chooses the next free one when it prepares an incarnation.
 */
export interface FreshPort {
  purpose: string;
  /** Neighbouring ports, from the one in `ports` up. */
  count: number;
  /** Only when the one it had is taken. Absent: at every restart. */
  whenTaken?: true;
  /** What to choose from. */
  first: number;
  last: number;
}

/** A word of argv, by its index, or a variable; `text` has `{port:PURPOSE}` where ports stand. */
export type PortText = ({ word: number } | { env: string }) & { text: string };

export interface LogSpec {
  /** It is rotated when it is longer. */
  maxBytes: number;
  /** Older logs that are kept: `x.log.1` is the newest of them. */
  keep: number;
}

/**
 * One of the processes that are one worker together. All start together and end together: when one ends, the others cannot go
 * on, so a restart is one of the whole group. Rank 0 is the leader: it alone serves requests, is published and is paired, and
 * once it is ready the group is. A follower counts as ready when it runs (it has no readiness checks and no liveness).
 */
export interface GroupMember {
  /** The worker's name, which is the leader's: `prefill-0`. Followers are `prefill-0-node1`, `prefill-0-node2`, … */
  name: string;
  /** 0 is the leader. */
  rank: number;
  /** Members, the leader included. */
  size: number;
  leader: boolean;
}

/** A literal, or the name of a place that holds a secret: never the secret itself. */
export type EnvValue = string | { fromEnv: string } | { fromFile: string };

/** A small file of a process. */
export interface LaunchFile {
  /** Plain file name, without a folder. */
  name: string;
  content: string;
}

/** One thing a process must do to count as ready. */
export type Check =
  /** GET answers with 200; on its HTTP port, or on the one named. */
  | { kind: 'http'; path: string; port?: string }
  /** /v1/models lists the name. */
  | { kind: 'model-listed'; model: string }
  /** A real completion of one token comes back, non-empty. */
  | { kind: 'generate'; model: string }
  /** Something accepts a TCP connection on the named port. */
  | { kind: 'tcp'; port: string };

export interface LivenessSpec {
  check: Check;
  periodMs: number;
  timeoutMs: number;
  failures: number;
}

export interface RestartSpec {
  policy: 'never' | 'on-failure' | 'always';
  backoff: Backoff;
  /** A process that stayed ready this long starts its backoff anew. */
  resetAfterMs: number;
  /** Restarts within one backoff run before the process counts as failed. */
  maxRestarts: number;
}

export interface DrainSpec {
  /** Longest wait for requests in flight after withdrawal, before SIGTERM. */
  inFlightMs: number;
  /** From SIGTERM to SIGKILL of the group. */
  killAfterMs: number;
}
