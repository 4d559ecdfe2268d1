const PURPOSES: Record<string, string> = {
  http: 'HTTP',
  sideChannel: 'KV side-channel',
  kvEvents: 'KV event',
  kvReplay: 'KV replay',
  dataParallelMaster: 'data-parallel master',
  dataParallelRpc: 'data-parallel RPC',
  distInit: 'process-group',
  nccl: 'NCCL',
};

/** `HTTP port 8101: the first free one from 8100 (8100 is in use)`. */
export function explainPort(purpose: string, port: number, from: number, skipped: readonly number[]): string {
  const shown = skipped.slice(0, 3).join(', ');
  const more = skipped.length > 3 ? ', …' : '';
  const note = skipped.length === 0 ? '' : ` (in use: ${shown}${more})`;
  return `${PURPOSES[purpose] ?? purpose} port ${port}: the first free one from ${from}${note}`;
}
