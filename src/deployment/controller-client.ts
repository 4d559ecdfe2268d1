import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pause } from '../base/abort.ts';
import { explainWriteError } from '../base/atomic-file.ts';
import { DynamoError } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { connectSocket } from '../base/unix-socket.ts';
import { lastLines } from '../supervise/log-tail.ts';
import {
  type ControllerGreeting,
  type ControllerMethods,
  type ControllerNotifications,
  PROTOCOL_VERSION,
  type StartRequest,
} from '../supervise/protocol.ts';
import { type Methods, type Notifications, RpcPeer } from '../supervise/rpc.ts';
import { socketPath } from '../supervise/socket-path.ts';
import { deploymentPaths, makePrivateDir } from './state-dir.ts';

export type ControllerPeer = RpcPeer<Methods, ControllerMethods, Notifications, ControllerNotifications>;

const HELLO_TIMEOUT_MS = 5_000;
const GREETING_DEADLINE_MS = 60_000;

/** A client's line to a running controller, after `hello`. */
export interface ControllerClient {
  peer: ControllerPeer;
  hello: ControllerMethods['hello']['result'];
}

/**
 * Connects to the controller of a deployment; `undefined` when none runs.
 * Throws `CONNECT_FAILED` when one listens but does not answer (suspended), `STATE_VERSION` when it is of another version.
 */
export async function connectController(
  dir: string,
  options: { ephemeral?: boolean; prepare?: (peer: ControllerPeer) => void } = {},
): Promise<ControllerClient | undefined> {
  const socket = await connectSocket(socketPath(dir, 'controller')).catch(() => undefined);
  if (!socket) return undefined;
  const peer: ControllerPeer = new RpcPeer(socket);
  options.prepare?.(peer);
  peer.listen();
  try {
    const hello = await peer.request(
      'hello',
      { protocol: PROTOCOL_VERSION, ephemeral: options.ephemeral ?? false },
      { timeoutMs: HELLO_TIMEOUT_MS },
    );
    return { peer, hello };
  } catch (error) {
    const closedAtOnce = !peer.open;
    peer.close();
    if (closedAtOnce) return undefined; // it was just ending
    throw error;
  }
}

/** Throws `STATE_UNREADABLE` where the state folder cannot be written. */
function openControllerLog(file: string): number {
  makePrivateDir(path.dirname(file));
  try {
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw explainWriteError(error, file);
  }
}

/**
 * Spawns a controller in a session of its own and waits until it listens. Without a request it adopts what is there.
 * Throws what the controller reports (`DEPLOYMENT_BUSY` when another one has the lock), or `START_LOST` with its last lines.
 */
export async function spawnController(
  deployment: string,
  dir: string,
  request: StartRequest | undefined,
): Promise<{ pid: number }> {
  const { controllerLog } = deploymentPaths(dir);
  const log = openControllerLog(controllerLog);
  const [node, cli] = selfCommand();
  const child = spawn(node, [cli, 'controller', '--deployment', deployment, '--dir', dir], {
    detached: true,
    stdio: ['pipe', 'pipe', log],
    cwd: '/',
    env: { ...process.env, DYNAMO_DEPLOYMENT_DIR: dir },
  });
  closeSync(log);
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new Error('spawned without pipes');
  const ended = once(child, 'exit').then(() => undefined);
  stdin.on('error', () => {}); // it ended before it read; the greeting says why, or is missing
  stdin.end(JSON.stringify(request ?? null));
  const lines = createInterface({ input: stdout });
  const greeted = once(lines, 'line').then(([line]) => JSON.parse(String(line)) as ControllerGreeting);
  greeted.catch(() => {});
  const waited = new AbortController();
  const greeting = await Promise.race([
    greeted,
    ended.then(() => Promise.race([greeted, pause(200, waited.signal).then(() => undefined)])),
    pause(GREETING_DEADLINE_MS, waited.signal).then(() => undefined),
  ]);
  waited.abort();
  lines.close();
  stdout.destroy();
  child.unref();
  if (greeting?.listening) return { pid: greeting.pid };
  if (greeting) throw DynamoError.from(greeting.error);
  throw new DynamoError('START_LOST', 'the controller ended before it listened', {
    details: lastLines(controllerLog, 10),
  });
}
