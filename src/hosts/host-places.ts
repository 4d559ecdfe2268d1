import type { HostEntry } from './host-entry.ts';

/** Where on a host things of ours lie; absolute paths there. */
export interface HostPlaces {
  /** What `DYNAMO_HOME` is there: state and logs. */
  stateDir: string;
  /** Kits, a folder a version. */
  kitDir: string;
}

/** Places of a host whose home folder is `home`. For this machine `stateDir` is what the caller's environment says. */
export function hostPlaces(entry: HostEntry, home: string): HostPlaces {
  return {
    stateDir: onHost(entry.stateDir ?? '~/.local/state/dynamo', home),
    kitDir: onHost(entry.kitDir ?? '~/.local/share/dynamo/kits', home),
  };
}

/** A path on the host, `~/` being its home. */
export function onHost(path: string, home: string): string {
  return path.startsWith('~/') ? `${home.replace(/\/+$/, '')}/${path.slice(2)}` : path;
}
