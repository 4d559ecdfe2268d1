import { z } from 'zod';

const gpuFactsSchema = z.strictObject({
  /** NVML order, which is PCI bus order. */
  index: z.int().min(0),
  uuid: z.string().prefault(''),
  /** `NVIDIA H100 80GB HBM3`. */
  name: z.string().min(1),
  memoryBytes: z.number().min(0),
  /** In use by anyone when the facts were taken; null where unknown. */
  memoryUsedBytes: z.number().min(0).nullable().prefault(null),
  /** `00000000:19:00.0`. */
  pciBusId: z.string().optional(),
  /** Null where the machine has one node only, or does not say. */
  numaNode: z.int().min(0).nullable().optional(),
});

/** A network interface. */
const nicFactsSchema = z.strictObject({
  name: z.string().min(1),
  /** The kernel's operstate: `up`, `down`, `unknown`. */
  state: z.string(),
  /** Null where the driver does not say. */
  speedMbps: z.number().min(0).nullable(),
  mtu: z.int().min(0).nullable(),
  numaNode: z.int().min(0).nullable(),
  /** A device and not a bridge, tunnel or container's end. */
  physical: z.boolean(),
  /** Addresses of global scope. */
  addresses: z.array(z.strictObject({ address: z.string(), prefixBits: z.int().min(0).max(128) })),
});

/** One port of an RDMA device. */
const rdmaFactsSchema = z.strictObject({
  /** `mlx5_0`. */
  device: z.string().min(1),
  port: z.int().min(1),
  /** `active`, `down`, `init`, `armed`. */
  state: z.string(),
  rateGbps: z.number().min(0).nullable(),
  /** `InfiniBand`, `Ethernet`. */
  linkLayer: z.string(),
  numaNode: z.int().min(0).nullable(),
  /** The network interface of the same device. */
  netdev: z.string().nullable(),
  /** Way to each GPU in the order of `gpus`: `PIX`, `PXB`, `PHB`, `NODE`, `SYS`. */
  gpuPaths: z.array(z.string()).optional(),
});

const engineFactsSchema = z.strictObject({
  path: z.string(),
  /** Null when it cannot be told without running the engine. */
  version: z.string().nullable(),
  /** Versions of packages beside it that must agree between hosts: nixl, torch, lmcache. */
  packages: z.record(z.string(), z.string()),
});

/** A process on a GPU. */
const gpuUserSchema = z.strictObject({
  /** Index of the GPU; null for one that is not listed (a slice of a GPU). */
  gpu: z.int().min(0).nullable(),
  pid: z.int().min(0),
  /** Null when its owner cannot be seen from here (another pid namespace). */
  user: z.string().nullable(),
  memoryBytes: z.number().min(0).nullable(),
  command: z.string(),
  /** A deployment of the same user started it. */
  ours: z.boolean(),
});

/** A GPU that a deployment holds. */
const gpuLockSchema = z.strictObject({
  gpu: z.int().min(0),
  /** `DEPLOYMENT (PROCESS)`. */
  holder: z.string(),
});

/**
 * What planning needs to know of a host: collected on the spot, or written down to plan for a machine that is elsewhere
 * (`dynamo plan --facts file.json`).
 */
export const hostFactsSchema = z.strictObject({
  /** `local` for this machine. */
  name: z.string().min(1).prefault('local'),
  /** Where its processes reach each other and listen. */
  address: z.string().min(1).prefault('127.0.0.1'),
  /** `linux`, `darwin`. */
  platform: z.string().prefault('linux'),
  arch: z.string().prefault('x64'),
  /** Changes with every boot; null where the system has none. */
  bootId: z.string().nullable().prefault(null),
  cpus: z.int().min(1).prefault(1),
  memoryBytes: z.number().min(0).prefault(0),
  gpus: z.array(gpuFactsSchema).prefault([]),
  /** TCP ports something listens on. */
  listeningPorts: z.array(z.int().min(0).max(65_535)).prefault([]),
  /** Ports the kernel gives to outgoing connections: never planned. Both ends belong to it. */
  ephemeralPorts: z
    .strictObject({ first: z.int().min(1).max(65_535), last: z.int().min(1).max(65_535) })
    .prefault({ first: 32_768, last: 60_999 }),
  /** Programs that were looked for, with their paths; null for one that is not there. */
  commands: z.record(z.string(), z.string().nullable()).prefault({}),

  // What follows comes from the probe of a host; facts written by hand may leave all of it out.
  /** ISO 8601, by the clock of the machine that asked. */
  takenAt: z.string().optional(),
  hostname: z.string().optional(),
  os: z.string().optional(),
  kernel: z.string().optional(),
  /** `glibc 2.35`; null for another C library. */
  glibc: z.string().nullable().optional(),
  user: z.string().optional(),
  home: z.string().optional(),
  /** Login shell. */
  shell: z.string().nullable().optional(),
  /** Null: none on its PATH. `version` has no leading v. */
  node: z.strictObject({ path: z.string(), version: z.string().nullable() }).nullable().optional(),
  /** From the hosts file. */
  labels: z.record(z.string(), z.string()).optional(),
  memoryAvailableBytes: z.number().min(0).optional(),
  /** NUMA nodes; `cpus` as the kernel lists them: `0-23,96-119`. */
  numa: z
    .array(z.strictObject({ node: z.int().min(0), cpus: z.string(), memoryBytes: z.number().min(0).nullable() }))
    .optional(),
  nics: z.array(nicFactsSchema).optional(),
  rdma: z.array(rdmaFactsSchema).optional(),
  /** NVLinks between each two GPUs, in the order of `gpus`; 0 for none. */
  nvlink: z.array(z.array(z.int().min(0))).optional(),
  /** How each GPU reaches each other, in the order of `gpus`: `X`, `NV18`, `PIX`, `PXB`, `PHB`, `NODE`, `SYS`. */
  gpuPaths: z.array(z.array(z.string())).optional(),
  /** Of the GPUs. */
  driver: z.string().nullable().optional(),
  /** Why GPUs are not listed though there is an `nvidia-smi`. */
  gpuProblem: z.string().nullable().optional(),
  gpuUsers: z.array(gpuUserSchema).optional(),
  /** Of any user of the host. */
  gpuLocks: z.array(gpuLockSchema).optional(),
  /** By program: `vllm`, `sglang`, `trtllm-serve`, `llama-server`. */
  engines: z.record(z.string(), engineFactsSchema).optional(),
  /** Bytes by folder: the home folder, `/tmp`, `/dev/shm`. */
  freeDisk: z.record(z.string(), z.number().min(0)).optional(),
  /** Its clock minus that of the machine that asked, in milliseconds, and how far off that may be. */
  clockSkewMs: z.number().optional(),
  clockUncertaintyMs: z.number().min(0).optional(),
  /** Limits of the user's processes; null: none. */
  limits: z
    .strictObject({ openFiles: z.number().min(0).nullable(), lockedMemoryBytes: z.number().min(0).nullable() })
    .optional(),
  /** The address of its own by which SSH reached it. */
  sshAddress: z.string().nullable().optional(),
  /** Interface of the default route. */
  defaultNic: z.string().nullable().optional(),
});

export type HostFacts = z.output<typeof hostFactsSchema>;
export type GpuFacts = z.output<typeof gpuFactsSchema>;
export type NicFacts = z.output<typeof nicFactsSchema>;
export type RdmaFacts = z.output<typeof rdmaFactsSchema>;
export type EngineFacts = z.output<typeof engineFactsSchema>;
export type GpuUser = z.output<typeof gpuUserSchema>;
export type GpuLock = z.output<typeof gpuLockSchema>;
