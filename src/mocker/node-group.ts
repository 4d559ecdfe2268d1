import net from 'node:net';
import { aborted, pause } from '../base/abort.ts';
import type { EngineLog } from './engine-log.ts';

/** Its part of a worker that spans several hosts. */
export interface MockerNode {
  /** 0 leads: it alone serves. */
  rank: number;
  size: number;
  /** Where the leader listens for the others. */
  masterAddress: string;
  masterPort: number;
}

const RETRY_MS = 100;
/** Longer than any first line a follower sends. */
const MAX_GREETING_BYTES = 64;

export interface JoinedGroup {
  /** Resolves with the reason once a member is gone: the others cannot go on. Never, while all are there. */
  lost: Promise<string>;
}

/**
 * Waits until every follower has come to the leader's port: only then is the worker ready. What real ranks notice by their
 * collectives is noticed here by the connections: one that ends is a member that is gone.
 */
export async function leadGroup(
  node: MockerNode,
  log: EngineLog,
  { terminated, closed }: { terminated: AbortSignal; closed: AbortSignal },
): Promise<JoinedGroup> {
  const joined = new Set<number>();
  let lose: (reason: string) => void = () => {};
  let complete: () => void = () => {};
  const lost = new Promise<string>((resolve) => {
    lose = resolve;
  });
  const whole = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    void readRank(socket, node.size).then((rank) => {
      if (rank === undefined || joined.has(rank)) return socket.destroy();
      joined.add(rank);
      log.info(`rank ${rank} of ${node.size} has joined`);
      socket.on('close', () => lose(`rank ${rank} is gone`));
      if (joined.size === node.size - 1) complete();
      return undefined;
    });
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(node.masterPort, node.masterAddress, resolve);
  });
  void aborted(closed).then(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  log.info(
    `waiting for ${node.size - 1} more host${node.size === 2 ? '' : 's'} at ${node.masterAddress}:${node.masterPort}`,
  );
  await Promise.race([whole, aborted(terminated)]);
  terminated.throwIfAborted();
  return { lost };
}

/** The number in the first line; undefined when it is none of a follower. */
function readRank(socket: net.Socket, size: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const read = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      const [, rank] = /^rank (\d+)\n/.exec(text) ?? [];
      if (rank === undefined && text.length < MAX_GREETING_BYTES) return;
      socket.off('data', read);
      socket.resume();
      resolve(Number(rank) > 0 && Number(rank) < size ? Number(rank) : undefined);
    };
    socket.on('data', read);
    socket.once('close', () => resolve(undefined));
  });
}

/** Goes to the leader, as often as it takes. */
export async function joinGroup(node: MockerNode, log: EngineLog, signal: AbortSignal): Promise<JoinedGroup> {
  log.info(`rank ${node.rank} of ${node.size} looks for its leader at ${node.masterAddress}:${node.masterPort}`);
  for (;;) {
    const socket = await connect(node);
    signal.throwIfAborted();
    if (socket) {
      socket.write(`rank ${node.rank}\n`);
      socket.resume();
      log.info('joined; no HTTP server here, the leader serves');
      void aborted(signal).then(() => socket.destroy());
      return { lost: new Promise((resolve) => socket.once('close', () => resolve('the leader is gone'))) };
    }
    await pause(RETRY_MS, signal);
    signal.throwIfAborted();
  }
}

function connect({ masterAddress: host, masterPort: port }: MockerNode): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port }, () => resolve(socket));
    socket.once('error', () => resolve(undefined));
    socket.on('error', () => {});
  });
}
