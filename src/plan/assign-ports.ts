import { DynamoError } from '../base/errors.ts';
import type { HostFacts } from '../hosts/host-facts.ts';

/** Hands out TCP ports of one host: below the ephemeral range, past everything that listens or is spoken for. */
export interface PortBook {
  /** Lowest free run of `count` ports from `from` up; returns its first. Throws `PORT_IN_USE` when there is none. */
  take(from: number, count?: number): number;
  /** Keeps a port that the user wrote down from being handed out. */
  reserve(port: number): void;
  /** Ports passed over since the last call, with the reason: for explanations. */
  skipped(): number[];
}

export function openPortBook(facts: HostFacts, alsoTaken: readonly number[]): PortBook {
  const taken = new Set([...facts.listeningPorts, ...alsoTaken]);
  let passedOver = new Set<number>();
  return {
    take(from, count = 1) {
      // A kernel that may use every port for outgoing connections leaves no range that is safe.
      const last = facts.ephemeralPorts.first > from ? facts.ephemeralPorts.first - 1 : 65_535;
      for (let first = from; first + count - 1 <= last; ) {
        const run = Array.from({ length: count }, (_, offset) => first + offset);
        const obstacle = run.findLast((port) => taken.has(port));
        if (obstacle === undefined) {
          for (const port of run) taken.add(port);
          return first;
        }
        if (facts.listeningPorts.includes(obstacle)) passedOver.add(obstacle);
        first = obstacle + 1;
      }
      throw new DynamoError('PORT_IN_USE', `no ${count} free port${count === 1 ? '' : 's'} from ${from} to ${last}`, {
        hint: 'Stop what listens there, or set `port` in the recipe.',
      });
    },
    reserve: (port) => void taken.add(port),
    skipped() {
      const ports = [...passedOver];
      passedOver = new Set();
      return ports;
    },
  };
}
