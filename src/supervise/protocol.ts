import type { SerializedError } from '../base/errors.ts';
import type { DeploymentSnapshot, PairSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';
import type { SuspicionSnapshot } from '../deployment/suspicion.ts';
import type { KvTransferDialect } from '../discovery/discovery.ts';
import type { GpuUse } from '../hosts/gpu-use.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { LinkState } from '../hosts/link-state.ts';
import type { DiscoverySpec, LaunchPlan, ProcessSpec } from '../plan/launch-plan.ts';
import type { PlanInput } from '../plan/plan-launch.ts';
import type { ScaleStep } from '../plan/scale-targets.ts';
import type { ProcessIdentity } from './identity.ts';

/**
 * What client, controller and agents say to each other. `protocol` in the first message must be equal;
 * a newer dynamo still adopts shims of an older one, because those are found through files.
 */
export const PROTOCOL_VERSION = 1;

/** How far an agent's part of a start has come. */
export type GangPhase =
  | 'idle'
  | 'reserved'
  | 'prepared'
  | 'starting'
  | 'proved'
  | 'published'
  | 'committed'
  | 'stopping';

/** Requests an agent answers. Everything but `observe` needs a prior `attach` on the same connection. */
export type AgentMethods = {
  /**
   * Become the controller of this agent. Lower epochs than any seen of that owner are refused with `SUPERSEDED`; another owner
   * (`ownerOf`; absent from a controller of an earlier release) with `DEPLOYMENT_BUSY` while anything runs.
   */
  attach: {
    params: { protocol: number; deployment: string; epoch: number; owner?: string; secrets?: SentSecrets };
    result: AgentStatus;
  };
  /** Read-only view for clients while no controller runs. */
  observe: { params: { protocol: number }; result: AgentStatus };
  /** Events this agent and those before it wrote from that moment on (ISO 8601, its own clock), oldest first; null: all. */
  events: { params: { from: string | null }; result: EventRecord[] };
  /** Any call renews the start lease; this one does nothing else. */
  renew: { params: Record<string, never>; result: null };
  reserve: { params: ReserveParams; result: null };
  /** Several hosts without etcd: writes a nonce to the discovery folder of this host. */
  showNonce: { params: { nonce: string }; result: null };
  /** Those, by who wrote them, that this host does not see in its discovery folder. */
  unseenNonces: { params: { nonces: Record<string, string> }; result: { unseen: string[] } };
  prepare: { params: { generation: number }; result: null };
  launch: { params: { names: string[] }; result: null };
  /** Resolves when all are ready; rejects with the first that cannot be. */
  ready: { params: { names: string[] }; result: null };
  prove: { params: { pairs: ProvePair[] }; result: PairSnapshot[] };
  publish: { params: Record<string, never>; result: null };
  /** The commit record exists; the agent reads it itself. */
  settle: { params: { generation: number }; result: null };
  /** What the host is like now: for planning what comes on top. */
  facts: { params: Record<string, never>; result: HostFacts };
  /** Processes on top of a committed gang: reserved, and undone together unless the revision is committed. */
  extend: { params: ExtendParams; result: null };
  /** As `prepare`, `launch`, `ready`, `prove` and `publish`, for the processes of an `extend` alone. */
  extendPrepare: { params: { revision: number }; result: null };
  extendLaunch: { params: { revision: number; names: string[] }; result: null };
  extendReady: { params: { revision: number; names: string[] }; result: null };
  extendProve: { params: { revision: number; pairs: ProvePair[] }; result: PairSnapshot[] };
  extendPublish: { params: { revision: number }; result: null };
  /** The commit record of the revision exists; the agent reads it itself. Fine when it never had a part in it. */
  extendSettle: { params: { revision: number }; result: null };
  /** Takes an uncommitted extension back. Fine when there is none. */
  extendUndo: { params: { revision: number }; result: null };
  /** Drains processes, ends them and forgets them. Fine for those that are not there. */
  retire: { params: { names: string[] }; result: null };
  /** Takes one process out of service without losing a request. */
  drain: { params: { name: string }; result: null };
  /** Drains one process and starts it anew. */
  restart: { params: { name: string }; result: null };
  /** Starts a process that was drained. Resolves when it is ready. */
  bringUp: { params: { name: string }; result: null };
  /** All members of a worker that spans hosts are down: this host's may start again. */
  groupGo: { params: { group: string }; result: null };
  /** A member on another host has ended: this host's members end too, and are started again with it. */
  groupLost: { params: { group: string; reason: string }; result: null };
  /** Takes back everything of a start that was never committed. */
  undo: { params: Record<string, never>; result: null };
  /** Ends everything in drain order; `force` skips waiting. Resolves with what could not be ended. */
  stop: { params: { force: boolean }; result: { leftPids: number[] } };
  /** The agent ends itself after answering. Refused while it runs processes. */
  leave: { params: Record<string, never>; result: null };
};

/** What an agent tells its controller and observers unasked. */
export type AgentNotifications = {
  changed: AgentStatus;
  event: EventRecord;
};

/** A pair as one of its ends knows it; the other end's agent may have proven it since. */
export interface HeardPair extends PairSnapshot {
  /** Since its proof; absent from an agent of an earlier release. */
  ageMs?: number;
}

export interface AgentStatus {
  host: string;
  identity: ProcessIdentity;
  phase: GangPhase;
  generation: number;
  planHash: string;
  inDoubt: boolean;
  /** Why the discovery store cannot be used; null while it can. */
  storeProblem: string | null;
  processes: ProcessSnapshot[];
  pairs: HeardPair[];
  /** Use of the host's GPUs; empty without nvidia-smi, absent from an agent of an earlier release. */
  gpus?: GpuUse[];
  /** Its network and RDMA links. */
  links?: LinkState[];
  /** Workers that its frontends avoid. */
  suspicions?: SuspicionSnapshot[];
}

export interface ReserveParams {
  generation: number;
  planHash: string;
  startLeaseMs: number;
  /** Where records lie; secrets in it are named, and read by each agent on its host. */
  discovery: DiscoverySpec;
  processes: ProcessSpec[];
}

export interface ExtendParams {
  generation: number;
  /** Counts the changes of the generation. */
  revision: number;
  planHash: string;
  processes: ProcessSpec[];
}

/** One prefill×decode pair to prove, with all the prover needs. */
export interface ProvePair {
  prefill: string;
  decode: string;
  prefillUrl: string;
  decodeUrl: string;
  model: string;
  blockSize: number;
  dialect: KvTransferDialect;
  /** Where the decode worker meets the prefill worker, in dialects that have such a place. */
  bootstrap: { host: string; port: number } | null;
  /** Words of the proof's prompt. Default: three blocks. */
  promptWords?: number;
}

/** Requests a controller answers to clients. */
export type ControllerMethods = {
  hello: {
    params: { protocol: number /** Gone for 10 s: the controller stops everything. */; ephemeral: boolean };
    result: { pid: number; version: string; recipeHash: string; snapshot: DeploymentSnapshot };
  };
  snapshot: { params: Record<string, never>; result: DeploymentSnapshot };
  /** `drain` takes a process out of service, `restart` brings it back as a new incarnation; nothing in flight is lost. */
  drain: { params: { name: string }; result: null };
  restart: { params: { name: string }; result: null };
  /** Restarts one process after the other: all, or those of the named roles, models, hosts. Resolves with their names. */
  rolling: { params: { targets: string[] }; result: { restarted: string[] } };
  /** Other numbers of workers: `prefill=3`, `decode=+1`, `MODEL/decode=2`. Resolves with what changed when all of it is done. */
  scale: { params: { targets: string[] }; result: { steps: ScaleStep[] } };
  /**
   * Another recipe for what runs, one process after the other; `replace`: also where the only one of a kind must go first. Resolves
   * with what was done, a line a step.
   */
  roll: { params: { request: StartRequest; replace: boolean }; result: { steps: string[] } };
  /** Secrets that processes name: what an agent no longer knows, it has again. In memory only. Resolves when agents have them. */
  secrets: { params: { secrets: SentSecrets }; result: null };
  /** Resolves when nothing is left; `force` skips draining. */
  stop: { params: { force: boolean }; result: { leftPids: number[] } };
};

export type ControllerNotifications = {
  snapshot: DeploymentSnapshot;
  event: EventRecord;
};

/**
 * Secrets that the plan names and the controller's machine has, for an agent elsewhere: by `env:NAME` or `file:PATH`.
 * They are kept in memory only.
 */
export type SentSecrets = Record<string, string>;

/** One line of the event log. */
export interface EventRecord {
  /** ISO 8601, wall clock of the host it happened on. */
  at: string;
  source: string;
  process: string | null;
  type: string;
  message: string;
}

/** What `serve` writes to the standard input of the controller it spawns. */
export interface StartRequest {
  deployment: string;
  dir: string;
  recipeFile: string;
  recipeHash: string;
  /** The resolved recipe as text, to show the difference when it changed under a running deployment. */
  recipeText: string;
  planHash: string;
  plan: LaunchPlan;
  /** What the plan was made of, for changes of what runs; without it nothing can be scaled. */
  planInput?: PlanInput;
  ephemeral: boolean;
  /** Hosts of the plan that are not this machine, as the hosts file has them. */
  hosts?: HostEntry[];
  /** The others of the hosts file: they may get workers when more are asked for. */
  spareHosts?: HostEntry[];
  /** Node for hosts that have none, see `installKit`. */
  nodeArchive?: string;
}

/** First line a spawned controller prints: it listens, or why it does not. */
export type ControllerGreeting = { listening: true; pid: number } | { listening: false; error: SerializedError };
