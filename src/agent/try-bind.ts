import net from 'node:net';
import { messageOf, systemCode } from '../base/errors.ts';

/** Undefined when the port can be bound now, otherwise why not. */
export function tryBind(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(systemCode(error) === 'EADDRINUSE' ? 'in use' : messageOf(error)));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
