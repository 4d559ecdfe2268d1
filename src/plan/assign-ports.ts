import { DynamoError } from '../base/errors.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import { portRun } from './port-run.ts';

/** Hands out TCP ports of one host: below the ephemeral range, past everything that listens or is spoken for. */
export interface PortBook {
  /** Lowest free run of `count` ports from `from` up; returns its first and keeps it free. Throws `PORT_IN_USE`. */
  next(from: number, count: number): number;
  /** The same, and hands it out. */
  take(from: number, count?: number): number;
  /** Keeps a port from being handed out. */
  reserve(port: number): void;
  /** Ports passed over since the last call, with the reason: for explanations. */
  skipped(): number[];
}

export function openPortBook(facts: HostFacts, alsoTaken: readonly number[]): PortBook {
  const taken = new Set([...facts.listeningPorts, ...alsoTaken]);
  let passedOver = new Set<number>();
  const next = (from: number, count: number): number => {
    // A kernel that may use every port for outgoing connections leaves no range that is safe.
    const last = facts.ephemeralPorts.first > from ? facts.ephemeralPorts.first - 1 : 65_535;
    for (let first = from; first + count - 1 <= last; ) {
      const obstacle = portRun(first, count).findLast((port) => taken.has(port));
      if (obstacle === undefined) return first;
      if (facts.listeningPorts.includes(obstacle)) passedOver.add(obstacle);
      first = obstacle + 1;
    }
    const where = facts.name === 'local' ? '' : ` on ${facts.name}`;
    throw new DynamoError(
      'PORT_IN_USE',
      `no ${count} free port${count === 1 ? '' : 's'} from ${from} to ${last}${where}`,
      {
        hint: 'Stop what listens there, or set `port` in the recipe.',
      },
    );
  };
  return {
    next,
    take(from, count = 1) {
      const first = next(from, count);
      for (const port of portRun(first, count)) taken.add(port);
      return first;
    },
    reserve: (port) => void taken.add(port),
    skipped() {
      const ports = [...passedOver];
      passedOver = new Set();
      return ports;
    },
  };
}

/** The same run of ports on every host: ranks of one worker find each other by numbers that they count from. */
export function takeOnAll(books: readonly PortBook[], from: number, count: number): number {
  for (let first = from; ; ) {
    const proposals = books.map((book) => book.next(first, count));
    const highest = Math.max(...proposals);
    if (proposals.every((proposal) => proposal === highest)) {
      for (const book of books) book.take(highest, count);
      return highest;
    }
    first = highest;
  }
}
