import net from 'node:net';
import { DynamoError, systemCode } from './errors.ts';

/** Connects to a Unix socket of this machine. Throws `CONNECT_FAILED` when nobody listens. */
export async function connectSocket(file: string): Promise<net.Socket> {
  const socket = net.connect(file);
  return new Promise((resolve, reject) => {
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) =>
      reject(new DynamoError('CONNECT_FAILED', `nobody answers on ${file} (${systemCode(error)})`, { cause: error })),
    );
  });
}
