import type { DiscoveryBackendSpec } from '../../src/discovery/create-discovery.ts';

/** Where a fixture finds its discovery: the URL of an etcd, or else a folder. */
export function placeOf(text: string): DiscoveryBackendSpec {
  return text.startsWith('http') ? { backend: 'etcd', endpoints: [text] } : { backend: 'file', root: text };
}
