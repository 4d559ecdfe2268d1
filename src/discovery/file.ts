import type { Discovery, DiscoveryOptions } from './discovery.ts';
import { FileStore } from './file-store.ts';
import { RecordDiscovery, type RecordDiscoveryOptions } from './record-discovery.ts';
import { TOMBSTONE_TTLS } from './watch-state.ts';

/**
 * Discovery in a folder: one subfolder of `root` per deployment, one JSON file per record. Serves every process that sees the
 * folder; on several hosts that takes a shared file system. Throws `DISCOVERY_UNREACHABLE` when the folder cannot be made (unless `mayBeAway`).
 */
export async function createFileDiscovery(
  root: string,
  options: DiscoveryOptions & Pick<RecordDiscoveryOptions, 'useHints'>,
): Promise<Discovery> {
  const store = new FileStore({
    root,
    deployment: options.deployment,
    strayAfterMs: TOMBSTONE_TTLS * options.ttlMs,
    now: options.now ?? (() => performance.now()),
  });
  if (!options.mayBeAway) await store.open();
  return new RecordDiscovery(store, options);
}
