import type { EtcdSpec } from './etcd-settings.ts';

/**
 * Keys that a stopped deployment has left in etcd, without leaving anything there itself. Throws `DISCOVERY_UNREACHABLE` when etcd cannot
 * be used, `SECRET_MISSING` when the password is not there.
 */
export async function recordsLeft(spec: EtcdSpec, deployment: string): Promise<string[]> {
  // Its client takes a quarter of a second to load.
  const { connectEtcd } = await import('./etcd.ts');
  const store = await connectEtcd(spec, { deployment, ttlMs: 10_000 });
  try {
    return await store.everyKey();
  } finally {
    store.close();
  }
}
