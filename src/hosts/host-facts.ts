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
});

export type HostFacts = z.output<typeof hostFactsSchema>;
export type GpuFacts = z.output<typeof gpuFactsSchema>;
