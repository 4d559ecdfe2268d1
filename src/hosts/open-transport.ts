import type { HostEntry } from './host-entry.ts';
import type { HostTransport } from './host-transport.ts';
import { LocalTransport } from './local-transport.ts';

/** Reaches a host: this machine directly, others over SSH. Throws `HOST_UNREACHABLE` with what to do about it. */
export async function openTransport(entry: HostEntry, signal?: AbortSignal): Promise<HostTransport> {
  if (entry.local) return new LocalTransport(entry.name);
  // Its library is loaded only where it is needed.
  const { SshTransport } = await import('./ssh/ssh-transport.ts');
  return SshTransport.connect(entry, signal ? { signal } : {});
}
