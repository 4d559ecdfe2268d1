import type { Server } from 'node:http';
import { setTimeout as timer } from 'node:timers/promises';
import { handleRequest } from './routes.ts';
import type { Worker } from './worker.ts';

/** How long open connections get to take their last bytes once the server closes. */
const CLOSE_GRACE_MS = 500;

/** Serves a worker's HTTP surface. Resolves once it listens; rejects when the address is taken. */
export function listenHttp(worker: Worker): Promise<Server> {
  // An import would touch every export of node:http, among them some that load the whole fetch client.
  const http = process.getBuiltinModule('node:http');
  const server = http.createServer((request, response) => {
    void handleRequest(worker, request, response);
  });
  server.keepAliveTimeout = worker.options.keepAliveMs;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(worker.options.port, worker.options.host, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

/** Refuses new connections, lets answers in progress reach their clients for a moment, then closes everything. */
export async function closeHttp(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const end = performance.now() + CLOSE_GRACE_MS;
  let open = true;
  void closed.then(() => {
    open = false;
  });
  while (open && performance.now() < end) {
    server.closeIdleConnections();
    await Promise.race([closed, timer(10)]);
  }
  server.closeAllConnections();
  await closed;
}
