import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { AnyAuthMethod, AuthHandlerMiddleware, Client, ParsedKey } from 'ssh2';
import { anySignal, raceAbort, sleep } from '../../base/abort.ts';
import { DynamoError, messageOf } from '../../base/errors.ts';
import { HostKeyCheck } from './host-key-check.ts';
import { readKey } from './read-key.ts';
import { explainFailure, explainTimeout, type SshStage } from './ssh-errors.ts';
import type { SshHop } from './ssh-target.ts';

export interface SshTimes {
  /** From nothing to logged in, each hop. */
  connectMs: number;
  /** A silent link is asked this often; three times unanswered means lost. */
  keepaliveMs: number;
}

export const SSH_TIMES: SshTimes = { connectMs: 20_000, keepaliveMs: 5_000 };

/** A server that is flooded with logins drops some (MaxStartups): worth another try. */
const TRIES = 3;
const AGAIN_MS = 300;

/** Newest first. */
const HOST_KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

/** A logged-in connection and those it goes through. */
export interface SshConnection {
  client: Client;
  end(): void;
}

/**
 * Logs in to the last of the hops, each through the one before. By key or agent, never by password.
 * Throws `HOST_UNREACHABLE` with what to do about it.
 */
export async function connectSsh(
  hops: readonly SshHop[],
  options: { times?: SshTimes; signal?: AbortSignal | undefined } = {},
): Promise<SshConnection> {
  const { times = SSH_TIMES, signal } = options;
  const clients: Client[] = [];
  const end = () => {
    for (const client of clients.toReversed()) client.end();
  };
  try {
    for (const hop of hops) {
      const through = clients.at(-1);
      const open = (cut: AbortSignal) => {
        if (through) return openTunnel(through, hop);
        return hop.proxyCommand === null ? openTcp(hop, cut) : openProxy(hop, hop.proxyCommand);
      };
      clients.push(await logIn(hop, open, times, signal));
    }
  } catch (error) {
    end();
    throw error;
  }
  return { client: clients.at(-1)!, end };
}

async function logIn(
  hop: SshHop,
  open: (cut: AbortSignal) => Promise<Duplex>,
  times: SshTimes,
  signal: AbortSignal | undefined,
): Promise<Client> {
  await import('ssh2'); // loading it is not the host's time
  for (let attempt = 1; ; attempt += 1) {
    const progress: Progress = { stage: 'connect', tried: [] };
    const late = AbortSignal.timeout(times.connectMs);
    try {
      return await logInOnce(hop, open, times, anySignal(signal, late), progress);
    } catch (error) {
      signal?.throwIfAborted();
      if (late.aborted) throw explainTimeout(hop, progress.stage, times.connectMs);
      const dropped = progress.stage === 'greet' && !(error instanceof DynamoError);
      if (!dropped || attempt >= TRIES) throw explainFailure(error, hop, progress.stage, progress.tried);
      await sleep(AGAIN_MS * attempt, signal);
    }
  }
}

interface Progress {
  stage: SshStage;
  /** What was offered, and what could not be. */
  tried: string[];
}

async function logInOnce(
  hop: SshHop,
  open: (cut: AbortSignal) => Promise<Duplex>,
  times: SshTimes,
  signal: AbortSignal,
  progress: Progress,
): Promise<Client> {
  const keys = await usableKeys(hop, progress.tried);
  const check = new HostKeyCheck(hop);
  const { Client } = (await import('ssh2')).default;
  const socket = await raceAbort(open(signal), signal, (late) => late.destroy());
  progress.stage = 'greet';
  const client = new Client();
  try {
    const ready = new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      client.once('handshake', () => {
        progress.stage = 'authenticate';
      });
      client.on('error', (error: Error & { level?: string }) => {
        if (error.level !== 'agent') reject(check.refusal ?? error);
        else progress.tried.push(`no key of the agent ${hop.agent}: ${error.message}`);
      });
      client.once('close', () => reject(check.refusal ?? new Error('the connection was closed')));
    });
    ready.catch(() => {});
    client.connect({
      sock: socket,
      username: hop.user,
      readyTimeout: 0,
      keepaliveInterval: times.keepaliveMs,
      keepaliveCountMax: 2,
      algorithms: { serverHostKey: check.orderTypes(HOST_KEY_TYPES) as never },
      hostVerifier: (key: Buffer) => check.accept(key),
      authHandler: offerKeys(hop, keys, progress.tried),
    });
    await raceAbort(ready, signal);
    return client;
  } catch (error) {
    client.on('error', () => {});
    client.end();
    socket.destroy();
    throw error;
  }
}

/** Files that cannot be used are passed over while something else is left to offer. */
async function usableKeys(hop: SshHop, tried: string[]): Promise<{ file: string; key: ParsedKey }[]> {
  const keys: { file: string; key: ParsedKey }[] = [];
  const refusals: unknown[] = [];
  for (const file of hop.keyFiles) {
    try {
      keys.push({ file, key: await readKey(file, hop) });
    } catch (error) {
      refusals.push(error);
      tried.push(`nothing from ${file}: ${messageOf(error)}`);
    }
  }
  if (keys.length === 0 && hop.agent === null && refusals.length > 0) throw refusals[0];
  return keys;
}

/** Key files first, then the agent with all it has. */
function offerKeys(
  hop: SshHop,
  keys: readonly { file: string; key: ParsedKey }[],
  tried: string[],
): AuthHandlerMiddleware {
  const offers: { name: string; method: AnyAuthMethod }[] = keys.map(({ file, key }) => ({
    name: `the key ${file}`,
    method: { type: 'publickey', username: hop.user, key: key as never },
  }));
  if (hop.agent !== null) {
    offers.push({
      name: `the keys of the agent ${hop.agent}`,
      method: { type: 'agent', username: hop.user, agent: hop.agent },
    });
  }
  return (_left, _partial, next) => {
    const offer = offers.shift();
    if (!offer) return next(false as never);
    tried.push(`offered ${offer.name}`);
    next(offer.method);
  };
}

async function openTcp(hop: SshHop, cut: AbortSignal): Promise<Duplex> {
  const socket = net.connect({ host: hop.address, port: hop.port, noDelay: true });
  try {
    await once(socket, 'connect', { signal: cut });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function openProxy(hop: SshHop, command: string): Promise<Duplex> {
  const { ProxyStream } = await import('./proxy-stream.ts'); // few hosts have one
  return new ProxyStream(hop, command);
}

function openTunnel(through: Client, hop: SshHop): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    through.forwardOut('127.0.0.1', 0, hop.address, hop.port, (error, stream) => {
      if (!error) return resolve(stream);
      reject(
        new DynamoError(
          'HOST_UNREACHABLE',
          `${hop.name}: the jump host does not get to ${hop.address} port ${hop.port}: ${error.message}`,
          {
            hint: 'Can it reach that address, and does its SSH server allow TCP forwarding (AllowTcpForwarding)?',
            cause: error,
          },
        ),
      );
    });
  });
}
