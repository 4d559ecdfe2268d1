import type { AgentMethods } from '../supervise/protocol.ts';
import type { AgentStore } from './agent-store.ts';

export interface StoreHandlers {
  store: AgentStore;
  host: string;
  /** Ends with the agent. */
  signal: AbortSignal;
  handle<K extends 'showNonce' | 'unseenNonces'>(
    method: K,
    handler: (params: AgentMethods[K]['params']) => Promise<AgentMethods[K]['result']>,
  ): void;
}

/** This host's part in the proof that several hosts share one discovery folder. */
export function handleSharing({ store, host, signal, handle }: StoreHandlers): void {
  handle('showNonce', async ({ nonce }) => {
    await store.sharedFolder?.show(host, nonce);
    return null;
  });
  handle('unseenNonces', async ({ nonces }) => {
    const folder = store.sharedFolder;
    const unseen = (await folder?.unseen(nonces, signal)) ?? [];
    // Where the folder is not shared nobody else can remove it.
    if (unseen.length > 0) await folder?.hide(host, nonces[host] ?? '');
    return { unseen };
  });
}
