import type { Discovery, DiscoveryOptions } from './discovery.ts';
import type { EtcdSpec } from './etcd-settings.ts';
import { createFileDiscovery } from './file.ts';

/** Where a deployment's records live. */
export type DiscoveryBackendSpec = FolderSpec | EtcdSpec;

interface FolderSpec {
  backend: 'file';
  /** Folder shared by deployments; each gets a subfolder. */
  root: string;
}

/** Opens the discovery of one deployment. Throws `DISCOVERY_UNREACHABLE` when the backend cannot be used. */
export async function createDiscovery(spec: DiscoveryBackendSpec, options: DiscoveryOptions): Promise<Discovery> {
  if (spec.backend === 'file') return createFileDiscovery(spec.root, options);
  // Its client takes a quarter of a second to load.
  const { createEtcdDiscovery } = await import('./etcd.ts');
  return createEtcdDiscovery(spec, options);
}
