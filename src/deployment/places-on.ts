import type { HostEntry } from '../hosts/host-entry.ts';
import { type HostPlaces, hostPlaces } from '../hosts/host-places.ts';
import type { HostTransport } from '../hosts/host-transport.ts';
import { stateHome } from './state-dir.ts';

const TIMEOUT_MS = 30_000;
/** Where a host's home is, and who we are there. */
const WHERE = 'printf "%s\\n" "$HOME"; id -u';

/** Where on a host things of ours lie, and the id of our user there: the host is asked. */
export async function placesOn(
  entry: HostEntry,
  transport: HostTransport,
  signal?: AbortSignal,
): Promise<HostPlaces & { uid: number }> {
  const options = { timeoutMs: TIMEOUT_MS, ...(signal && { signal }) };
  const { stdout } = await transport.exec(['sh', '-c', WHERE], options);
  const [home = '', uid] = stdout.toString('utf8').trim().split('\n');
  const places = { ...hostPlaces(entry, home), uid: Number(uid) };
  return entry.local && entry.stateDir === undefined ? { ...places, stateDir: stateHome() } : places;
}
