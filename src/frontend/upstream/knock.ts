import { connect, isIP } from 'node:net';
import { systemCode } from '../../base/errors.ts';
import type { Origin } from './connection.ts';

/** Errors of a machine that did not answer, or that nothing leads to now. All others come from it, or from this machine. */
const UNANSWERED = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN']);

/** One attempt to connect that is under way. */
export interface Knock {
  /** The first packet has left: only then does silence say anything. */
  readonly isOut: boolean;
  end(): void;
}

/**
 * Asks for a connection and gives it up again. `answered` is called once, unless it is ended before, when the address accepts or
 * refuses: both are done by the kernel of its machine, however busy, starved or stopped the process is. What fails on this machine
 * (no descriptors, no ports, no name) counts as an answer, because it says nothing against the other.
 */
export function knock(origin: Origin, answered: () => void): Knock {
  let isOut = isIP(origin.hostname) !== 0;
  const socket = connect({ host: origin.hostname, port: origin.port });
  const done = (): void => {
    socket.destroy();
    answered();
  };
  socket.unref();
  socket.once('lookup', () => {
    isOut = true;
  });
  socket.once('connect', done);
  socket.once('error', (error) => {
    if (!UNANSWERED.has(systemCode(error) ?? '')) done();
  });
  return {
    get isOut() {
      return isOut;
    },
    end() {
      socket.removeAllListeners('connect');
      socket.removeAllListeners('error').on('error', () => {});
      socket.destroy();
    },
  };
}
