import { once } from 'node:events';
import net from 'node:net';

/**
 * Below every usual ephemeral range, so that no outgoing connection takes the port in between; above 10080, which
 * `fetch` refuses; between the ports that plans hand out (…8998 and up, 20000 and up).
 */
const FIRST = 11_000;
const LAST = 18_999;
const SLICE = 100;
const SLICES = (LAST - FIRST + 1) / SLICE;

let slice: Promise<number> | undefined;
/** The port to try next. Begins anywhere in the slice: what an earlier process left behind may be about to come up. */
let next = 0;

/**
 * A port on 127.0.0.1 that nothing listens on, and that no other test process or thread is told: each has a slice of
 * its own, held by listening on the slice's first port until it ends.
 */
export async function freePort(): Promise<number> {
  slice ??= takeSlice();
  const first = await slice;
  for (let tries = 1; tries < SLICE; tries += 1) {
    const port = next;
    next = port + 1 < first + SLICE ? port + 1 : first + 1;
    const server = await listen(port);
    if (!server) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`no free port from ${first + 1} to ${first + SLICE - 1}`);
}

async function takeSlice(): Promise<number> {
  const from = Math.floor(Math.random() * SLICES);
  for (let tries = 0; tries < SLICES; tries += 1) {
    const first = FIRST + ((from + tries) % SLICES) * SLICE;
    const holder = await listen(first);
    if (!holder) continue;
    holder.unref();
    next = first + 1 + Math.floor(Math.random() * (SLICE - 1));
    return first;
  }
  throw new Error(`something listens on every hundredth port from ${FIRST} to ${LAST}`);
}

/** Undefined: something else listens there. */
async function listen(port: number): Promise<net.Server | undefined> {
  const server = net.createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
