import { describe, expect, it } from 'vitest';
import { chooseConnectors } from '../../../../src/engines/vllm/connectors.ts';
import type { WorkerSettings } from '../../../../src/engines/worker.ts';
import { workerSettings } from '../../../helpers/worker-settings.ts';

const choose = (change: Partial<WorkerSettings>) => chooseConnectors(workerSettings({ role: 'aggregated', ...change }));

describe('chooseConnectors', () => {
  it('needs none for a plain worker', () => {
    expect(choose({})).toEqual({ config: null, env: {}, reasons: [] });
  });

  it('keeps blocks in host memory', () => {
    expect(choose({ kvOffload: { cpu: 64 * 1024 ** 3 } }).config).toEqual({
      kv_connector: 'OffloadingConnector',
      kv_role: 'kv_both',
      kv_connector_extra_config: { cpu_bytes_to_use: 68_719_476_736 },
    });
  });

  it('lets events of the tier tell what blocks hold, where somebody listens', () => {
    expect(choose({ kvOffload: { cpu: 1e9 }, kvEvents: true }).config?.kv_connector_extra_config).toEqual({
      cpu_bytes_to_use: 1e9,
      self_describing_kv_events: true,
    });
  });

  it('puts files behind host memory, with hashes that other processes share', () => {
    const { config, env } = choose({ kvOffload: { cpu: 1e9, disk: { path: '/nvme/kv' } } });
    expect(config?.kv_connector_extra_config).toEqual({
      cpu_bytes_to_use: 1e9,
      spec_name: 'TieringOffloadingSpec',
      secondary_tiers: [{ type: 'fs', root_dir: '/nvme/kv' }],
    });
    expect(env).toEqual({ PYTHONHASHSEED: '0' });
  });

  it('uses the simple connector for a disk alone', () => {
    expect(choose({ kvOffload: { disk: { path: '/nvme/kv', size: 5e9 } } }).config).toEqual({
      kv_connector: 'SimpleCPUOffloadConnector',
      kv_role: 'kv_both',
      kv_connector_extra_config: { kv_offload_backend: 'disk', disk_path: '/nvme/kv', disk_capacity_bytes: 5e9 },
    });
  });

  it('reaches a store over LMCache, whose sizes count GiB', () => {
    const remote = { backend: 'lmcache', url: 'lm://cache:65432' } as const;
    const { config, env } = choose({
      kvOffload: { cpu: 8 * 1024 ** 3, disk: { path: '/nvme', size: 2 * 1024 ** 3 }, remote },
    });
    expect(config).toEqual({ kv_connector: 'LMCacheConnectorV1', kv_role: 'kv_both' });
    expect(env).toEqual({
      PYTHONHASHSEED: '0',
      LMCACHE_REMOTE_URL: 'lm://cache:65432',
      LMCACHE_LOCAL_CPU: 'True',
      LMCACHE_MAX_LOCAL_CPU_SIZE: '8',
      LMCACHE_LOCAL_DISK: 'file:///nvme',
      LMCACHE_MAX_LOCAL_DISK_SIZE: '2',
    });
    expect(choose({ kvOffload: { remote } }).env).toMatchObject({ LMCACHE_LOCAL_CPU: 'False' });
  });

  it('runs NIXL first and the tiers second behind one connector', () => {
    const { config, reasons } = choose({
      role: 'decode',
      kvOffload: { cpu: 1e9 },
      kvTransfer: { connector: 'nixl', lease: 120_000, loadFailurePolicy: 'recompute' },
    });
    expect(config).toEqual({
      kv_connector: 'MultiConnector',
      kv_role: 'kv_both',
      kv_load_failure_policy: 'recompute',
      kv_connector_extra_config: {
        connectors: [
          {
            kv_connector: 'NixlConnector',
            kv_role: 'kv_consumer',
            kv_load_failure_policy: 'recompute',
            kv_connector_extra_config: { kv_lease_duration: 120 },
          },
          {
            kv_connector: 'OffloadingConnector',
            kv_role: 'kv_both',
            kv_connector_extra_config: { cpu_bytes_to_use: 1e9 },
          },
        ],
      },
    });
    expect(reasons).toHaveLength(3);
  });
});
