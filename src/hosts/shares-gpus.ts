import type { HostEntry } from './host-entry.ts';

/** Whether GPUs of that host are shared with anybody: `DYNAMO_GPU_STRANGERS`, of this machine's environment or the host's entry. */
export function sharesGpus(host: string, hosts: readonly HostEntry[] | undefined, env: NodeJS.ProcessEnv): boolean {
  const entry = hosts?.find(({ name }) => name === host);
  const own = entry?.env['DYNAMO_GPU_STRANGERS'];
  const isHere = entry === undefined || entry.local;
  return (own ?? (isHere ? env['DYNAMO_GPU_STRANGERS'] : undefined)) === 'allow';
}
