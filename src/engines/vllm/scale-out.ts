import { isLoopback } from '../../base/url-host.ts';
import { argValue } from '../engine-args.ts';
import type { WorkerPlacement, WorkerSettings } from '../worker.ts';
import { isFollower } from './across-hosts.ts';

/** What `--enable-scale-out` opens, and to whom: its render endpoints are only a part of it. Empty without the flag. */
export function explainScaleOut({ args }: WorkerSettings, placement: WorkerPlacement): string[] {
  if (argValue(args, 'enable-scale-out') !== true || isFollower(placement)) return [];
  const { address, ports } = placement;
  const who = isLoopback(address) ? 'processes of this host' : `whoever reaches ${address}:${ports['http']}`;
  return [`enable-scale-out: ${who} can generate from token ids and abort requests, besides rendering prompts`];
}
