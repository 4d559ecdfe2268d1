import type { Discovery, DiscoveryOptions } from './discovery.ts';
import { createFileDiscovery } from './file.ts';

/** Where a deployment's records live. */
export interface DiscoveryBackendSpec {
  backend: 'file';
  /** Folder shared by deployments; each gets a subfolder. */
  root: string;
}

/** Opens the discovery of one deployment. Throws `DISCOVERY_UNREACHABLE` when the backend cannot be used. */
export async function createDiscovery(spec: DiscoveryBackendSpec, options: DiscoveryOptions): Promise<Discovery> {
  return createFileDiscovery(spec.root, options);
}
