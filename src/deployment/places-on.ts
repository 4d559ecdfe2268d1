import type { HostEntry } from '../hosts/host-entry.ts';
import { type HostPlaces, hostPlaces } from '../hosts/host-places.ts';
import type { HostTransport } from '../hosts/host-transport.ts';
import { stateHome } from './state-dir.ts';

/** Where on a host things of ours lie, its home folder asked for. */
export async function placesOn(entry: HostEntry, transport: HostTransport): Promise<HostPlaces> {
  const { stdout } = await transport.exec(['sh', '-c', 'printf %s "$HOME"'], { timeoutMs: 30_000 });
  const places = hostPlaces(entry, stdout.toString('utf8'));
  return entry.local && entry.stateDir === undefined ? { ...places, stateDir: stateHome() } : places;
}
