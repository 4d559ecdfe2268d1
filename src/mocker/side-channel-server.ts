import net from 'node:net';
import { LineReader, parseRequest, type SideChannelReply, type SideChannelRequest } from './side-channel-protocol.ts';

export interface SideChannelServerOptions {
  host: string;
  port: number;
  answer(request: SideChannelRequest): SideChannelReply;
  /** Closes the server and every connection. */
  signal: AbortSignal;
}

/** Listens for readers of this worker's KV cache. Resolves once it listens; rejects when the address is taken. */
export function listenSideChannel(options: SideChannelServerOptions): Promise<void> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, options.answer);
  });
  options.signal.addEventListener(
    'abort',
    () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    { once: true },
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.removeListener('error', reject);
      server.on('error', () => {});
      resolve();
    });
  });
}

function serve(socket: net.Socket, answer: (request: SideChannelRequest) => SideChannelReply): void {
  const lines = new LineReader();
  const refuse = (error: string) => socket.end(`${JSON.stringify({ ok: false, error })}\n`);
  socket.setEncoding('utf8');
  // A reader that went away has nothing left to be told.
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => {
    if (socket.writableEnded) return;
    try {
      for (const line of lines.push(chunk)) {
        const request = parseRequest(line);
        if (!request) {
          refuse('not a request');
          return;
        }
        socket.write(`${JSON.stringify(answer(request))}\n`);
      }
    } catch {
      refuse('line too long');
    }
  });
}
