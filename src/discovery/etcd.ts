import type { Discovery, DiscoveryOptions } from './discovery.ts';
import { EtcdEndpoints } from './etcd-endpoints.ts';
import { type EtcdSpec, readEtcdSettings } from './etcd-settings.ts';
import { EtcdStore } from './etcd-store.ts';
import { PendingStore } from './pending-store.ts';
import { RecordDiscovery, type RecordDiscoveryOptions } from './record-discovery.ts';

/** Shortest time given to etcd for one answer: slow disks and elections take this long. */
const MIN_CALL_TIMEOUT_MS = 2_000;

/**
 * Discovery in etcd (3.4 or newer), for deployments on several hosts. Lapses are judged as with every backend, by the
 * observer's own clock since a counter last moved. Etcd's leases only collect garbage: what nobody has refreshed for
 * `leaseTtlSeconds` (a week) is deleted. A short lease would delete, at the first long pause of an agent, the record of a
 * worker that still serves. Commit records and the store's mark have no lease: their absence must mean something.
 *
 * Throws `DISCOVERY_UNREACHABLE` when etcd cannot be used, `SECRET_MISSING` when the password is not there; neither if it
 * `mayBeAway`.
 */
export async function createEtcdDiscovery(
  spec: EtcdSpec,
  options: DiscoveryOptions & Pick<RecordDiscoveryOptions, 'useHints'>,
): Promise<Discovery> {
  if (options.mayBeAway) return new RecordDiscovery(new PendingStore(() => connectEtcd(spec, options)), options);
  const store = await connectEtcd(spec, options);
  try {
    await store.open();
  } catch (error) {
    store.close();
    throw error;
  }
  return new RecordDiscovery(store, options);
}

/** The store of a deployment, in which nothing is read or written yet. */
export async function connectEtcd(spec: EtcdSpec, options: DiscoveryOptions): Promise<EtcdStore> {
  const settings = await readEtcdSettings(spec);
  return new EtcdStore({
    endpoints: new EtcdEndpoints(settings, Math.max(MIN_CALL_TIMEOUT_MS, options.ttlMs / 2)),
    prefix: settings.prefix,
    deployment: options.deployment,
    leaseTtlSeconds: settings.leaseTtlSeconds,
    now: options.now ?? (() => performance.now()),
  });
}
