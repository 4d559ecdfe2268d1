import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A network or RDMA link of this machine. */
export interface LinkState {
  /** `mlx5_0` (`mlx5_0/2` for a second port), `ens1f0`. */
  name: string;
  kind: 'rdma' | 'ethernet';
  up: boolean;
  /** As the kernel calls it: `active`, `down`, `init`; `up`, `dormant`. */
  state: string;
  /** Null while it is down or the driver does not say. */
  rateGbps: number | null;
}

/** Links of the devices of this machine (no bridges, no tunnels), from sysfs. Empty where there is none. */
export function readLinks(sysfs = '/sys/class'): LinkState[] {
  return [...rdmaLinks(path.join(sysfs, 'infiniband')), ...networkLinks(path.join(sysfs, 'net'))];
}

function rdmaLinks(folder: string): LinkState[] {
  return list(folder).flatMap((device) =>
    list(path.join(folder, device, 'ports')).map((port): LinkState => {
      const own = path.join(folder, device, 'ports', port);
      // `4: ACTIVE`, `400 Gb/sec (4X NDR)`
      const state = read(path.join(own, 'state'))
        .replace(/^\d+:\s*/, '')
        .toLowerCase();
      const rate = /^([\d.]+)\s*Gb\/sec/.exec(read(path.join(own, 'rate')))?.[1];
      const up = state === 'active';
      return {
        name: port === '1' ? device : `${device}/${port}`,
        kind: 'rdma',
        up,
        state,
        rateGbps: up && rate !== undefined ? Number(rate) : null,
      };
    }),
  );
}

function networkLinks(folder: string): LinkState[] {
  return list(folder).flatMap((name): LinkState[] => {
    const own = path.join(folder, name);
    if (!list(own).includes('device')) return [];
    const state = read(path.join(own, 'operstate'));
    const mbps = read(path.join(own, 'speed'));
    const up = state === 'up';
    return [{ name, kind: 'ethernet', up, state, rateGbps: up && /^\d+$/.test(mbps) ? Number(mbps) / 1_000 : null }];
  });
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Some drivers answer a read with an error while a link is down. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
