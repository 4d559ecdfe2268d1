import type { WorkerRole } from '../base/role.ts';
import type { DrainSpec, EnvValue, LaunchFile } from '../plan/launch-plan.ts';
import type { EngineArgs, KvOffloadRecipe, KvTransferRecipe, LoadRecipe, RecipePath } from '../recipe/recipe.ts';
import type { ModelConfig } from './model/model-config.ts';

/** One worker as the recipe describes it. */
export interface WorkerSettings {
  /** Where its group stands in the recipe. */
  path: RecipePath;
  role: WorkerRole;
  model: string;
  /** What the model says of itself; null where it cannot be read at planning. */
  modelConfig: ModelConfig | null;
  servedModelName: string;
  args: EngineArgs;
  env: Record<string, EnvValue>;
  /** Over all its hosts. Undefined: the recipe does not say. */
  gpus: number | undefined;
  /** Hosts that it spans. */
  nodes: number;
  replicas: number;
  /** HTTP port that the recipe writes down. */
  port: number | undefined;
  /** Where a server is that somebody else runs. */
  url: string | null;
  /** What to run in place of the engine's usual program. */
  command: readonly string[] | null;
  kvTransfer: KvTransferRecipe;
  /** Whether it shall publish KV events. */
  kvEvents: boolean;
  kvOffload: KvOffloadRecipe | null;
  load: LoadRecipe | null;
  /** How many workers share each of its GPUs, itself included. */
  workersPerGpu: number;
}

/** What the plan has decided for one worker. */
export interface WorkerPlacement {
  /** Address of its host. */
  address: string;
  /**
   * By purpose: those of the whole worker, the same on all its hosts. Not numbers but names, for which the plan writes the numbers into
   * argv, environment and reasons, also when a port moves later.
   */
  ports: Record<string, string>;
  gpus: readonly number[];
  /** GPUs, on the same host, of the workers it exchanges KV cache with. */
  peerGpus: readonly number[];
  /** Other hosts with workers it exchanges KV cache with. */
  peerHosts: readonly string[];
  /** Networks of its host; absent: nothing is known. */
  network?: WorkerNetwork;
  /** Its part of a worker that spans several hosts; null for a worker on one. Rank 0 leads and is the only one that serves. */
  node: { rank: number; size: number; leaderAddress: string } | null;
  drain: DrainSpec;
  /** argv prefix that runs dynamo. */
  selfCommand: readonly string[];
  startTimeoutMs: number;
}

/** What a worker's host has of networks, as the plan sees it. */
export interface WorkerNetwork {
  /** Devices that the hosts file allows; null: it says nothing, and libraries choose themselves. */
  allowed: {
    /** RDMA ports that are up, as UCX and NCCL write them: `mlx5_0:1`. */
    rdma: string[];
    /** Network interfaces. */
    interfaces: string[];
    /** RDMA ports whose link is down. */
    down: string[];
  } | null;
  /** Interface that has the host's data-plane address; null where facts do not tell. */
  dataInterface: string | null;
  /** RDMA ports that are nearest to the worker's GPUs, with the way there: `mlx5_0:1 (PIX)`. Empty where facts do not tell. */
  nearest: string[];
}

export interface EngineLaunch {
  argv: string[];
  env: Record<string, EnvValue>;
  /** Why the adapter added what it added. */
  reasons: string[];
  /** Files it reads at start; a word of argv may name one as `{file:NAME}`. */
  files?: LaunchFile[];
}
