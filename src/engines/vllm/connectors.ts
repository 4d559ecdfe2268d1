import type { WorkerSettings } from '../worker.ts';
import { onCpu, transfers } from './worker-shape.ts';

/** vLLM's `--kv-transfer-config`: one connector, or several behind MultiConnector. */
export interface ConnectorConfig {
  kv_connector: string;
  kv_role: 'kv_producer' | 'kv_consumer' | 'kv_both';
  kv_load_failure_policy?: 'fail' | 'recompute';
  kv_buffer_device?: 'cpu';
  kv_connector_extra_config?: Record<string, unknown>;
}

export interface ConnectorChoice {
  /** Null: neither a hand-over nor a further memory tier. */
  config: ConnectorConfig | null;
  env: Record<string, string>;
  reasons: string[];
}

/** Connectors for the hand-over and for the memory tiers of a worker. */
export function chooseConnectors(worker: WorkerSettings): ConnectorChoice {
  const handOver = transfers(worker) ? nixl(worker) : null;
  const tiers = offload(worker);
  const reasons = [
    ...(handOver ? [`NIXL hands the KV cache over; as ${worker.role} worker it is the ${handOver.kv_role}`] : []),
    ...tiers.reasons,
  ];
  if (!handOver || !tiers.config) return { config: handOver ?? tiers.config, env: tiers.env, reasons };
  return {
    config: {
      kv_connector: 'MultiConnector',
      kv_role: 'kv_both',
      kv_load_failure_policy: worker.kvTransfer.loadFailurePolicy,
      // A block is loaded from the first that has it: what a prefill worker holds ready comes before a slower tier.
      kv_connector_extra_config: { connectors: [handOver, tiers.config] },
    },
    env: tiers.env,
    reasons: [...reasons, 'MultiConnector runs both: blocks are loaded from the first that has them, stored to all'],
  };
}

function nixl(worker: WorkerSettings): ConnectorConfig {
  const { lease, loadFailurePolicy } = worker.kvTransfer;
  return {
    kv_connector: 'NixlConnector',
    kv_role: worker.role === 'prefill' ? 'kv_producer' : 'kv_consumer',
    kv_load_failure_policy: loadFailurePolicy,
    ...(onCpu(worker) ? { kv_buffer_device: 'cpu' as const } : {}),
    ...(lease === undefined ? {} : { kv_connector_extra_config: { kv_lease_duration: Math.ceil(lease / 1_000) } }),
  };
}

/** Tiers that several processes read need block hashes that do not depend on a process's random seed. */
const SHARED_HASHES = { PYTHONHASHSEED: '0' };
const GIB = 1024 ** 3;

function offload(worker: WorkerSettings): ConnectorChoice {
  const { kvOffload } = worker;
  if (!kvOffload) return { config: null, env: {}, reasons: [] };
  const { cpu, disk, remote } = kvOffload;
  if (remote) return lmcache(kvOffload);
  if (cpu !== undefined) {
    const tiers = disk
      ? { spec_name: 'TieringOffloadingSpec', secondary_tiers: [{ type: 'fs', root_dir: disk.path }] }
      : {};
    return {
      config: {
        kv_connector: 'OffloadingConnector',
        kv_role: 'kv_both',
        kv_connector_extra_config: {
          cpu_bytes_to_use: cpu,
          ...tiers,
          // Otherwise its events do not say which tokens a block holds. Versions before 0.32 may not know it.
          ...(worker.kvEvents ? { self_describing_kv_events: true } : {}),
        },
      },
      env: disk ? SHARED_HASHES : {},
      reasons: [`OffloadingConnector keeps KV blocks in host memory${disk ? `, and behind it in ${disk.path}` : ''}`],
    };
  }
  return {
    config: {
      kv_connector: 'SimpleCPUOffloadConnector',
      kv_role: 'kv_both',
      kv_connector_extra_config: {
        kv_offload_backend: 'disk',
        disk_path: disk!.path,
        ...(disk?.size === undefined ? {} : { disk_capacity_bytes: disk.size }),
      },
    },
    env: SHARED_HASHES,
    reasons: [`SimpleCPUOffloadConnector keeps KV blocks in ${disk!.path}`],
  };
}

function lmcache({ cpu, disk, remote }: NonNullable<WorkerSettings['kvOffload']>): ConnectorChoice {
  return {
    config: { kv_connector: 'LMCacheConnectorV1', kv_role: 'kv_both' },
    env: {
      ...SHARED_HASHES,
      LMCACHE_REMOTE_URL: remote!.url,
      LMCACHE_LOCAL_CPU: cpu === undefined ? 'False' : 'True',
      ...(cpu === undefined ? {} : { LMCACHE_MAX_LOCAL_CPU_SIZE: String(cpu / GIB) }),
      ...(disk ? { LMCACHE_LOCAL_DISK: `file://${disk.path}` } : {}),
      ...(disk?.size === undefined ? {} : { LMCACHE_MAX_LOCAL_DISK_SIZE: String(disk.size / GIB) }),
    },
    reasons: [`LMCache keeps KV blocks at ${remote!.url}, shared with every worker that names it`],
  };
}
