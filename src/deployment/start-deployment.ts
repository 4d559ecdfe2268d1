import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { planDifference } from '../plan/plan-difference.ts';
import { isAlive, signalProcess } from '../supervise/identity.ts';
import { lockHolder } from '../supervise/locks.ts';
import { lastLines } from '../supervise/log-tail.ts';
import type { StartRequest } from '../supervise/protocol.ts';
import { type ControllerClient, type ControllerPeer, connectController, spawnController } from './controller-client.ts';
import { readControllerIdentity } from './controller-identity.ts';
import { readRecord } from './record.ts';
import { deploymentPaths } from './state-dir.ts';

export interface StartOptions {
  request: StartRequest;
  /** Another recipe may run under this name: stop it first. */
  replace: boolean;
  /** Register notification handlers before the first message. */
  prepare(peer: ControllerPeer): void;
  /** Called before anything new is spawned: refuse what cannot start. Not called when a running deployment is adopted. */
  preflight(): void;
  onNote(text: string): void;
}

/** How the deployment came to be attended. */
export type StartOutcome = ControllerClient & { how: 'started' | 'attached' | 'adopted' };

/**
 * Makes sure a controller attends the deployment, and connects to it: the running one, one that adopts what runs unattended,
 * or a new one that starts everything. Two callers at once end up with one controller.
 * Throws `RECIPE_CHANGED` when something else runs under the name and `replace` is not set.
 */
export async function startDeployment(options: StartOptions): Promise<StartOutcome> {
  const { request } = options;
  const connect = () =>
    connectController(request.dir, { ephemeral: request.ephemeral, prepare: options.prepare }).catch(
      (error: unknown) => {
        throw explainSilence(error, request);
      },
    );
  const running = await connect();
  if (running) {
    if (running.hello.recipeHash === request.recipeHash) return { ...running, how: 'attached' };
    running.peer.close();
    await replaceRunning(options);
  }
  const record = readRecord(deploymentPaths(request.dir).record);
  const unattended = record?.phase === 'committed';
  if (unattended && record.recipeHash !== request.recipeHash) await replaceRunning(options);
  const adopts = unattended && record.recipeHash === request.recipeHash;
  if (!adopts) options.preflight();
  try {
    await spawnController(request.deployment, request.dir, request);
  } catch (error) {
    if (!(error instanceof DynamoError && error.code === 'DEPLOYMENT_BUSY')) throw error;
    // Somebody else started it a moment ago.
    const other = await until(connect, { deadlineMs: 5_000, intervalMs: 20 });
    if (!other) throw error;
    if (other.hello.recipeHash === request.recipeHash) return { ...other, how: 'attached' };
    other.peer.close();
    throw recipeChanged(request);
  }
  const client = await until(connect, { deadlineMs: 5_000, intervalMs: 10 });
  if (!client) throw endedBeforeHello(request);
  return { ...client, how: adopts ? 'adopted' : 'started' };
}

/** A controller that accepts connections and does not answer is suspended, by a shell's Ctrl-Z or a debugger. */
function explainSilence(error: unknown, request: StartRequest): unknown {
  if (!(error instanceof DynamoError) || error.code !== 'CONNECT_FAILED') return error;
  const identity = readControllerIdentity(request.dir);
  const who = identity ? `pid ${identity.pid}` : 'pid unknown';
  return new DynamoError(
    'DEPLOYMENT_BUSY',
    `the controller of ${request.deployment} (${who}) does not answer: is it suspended?`,
    {
      hint: identity
        ? `Wake it with \`kill -CONT ${identity.pid}\`, or end everything with \`dynamo stop ${request.deployment}\`.`
        : `End everything with \`dynamo stop ${request.deployment}\`.`,
      cause: error,
    },
  );
}

/** A start that fails at once may be over before anyone has said hello; its record says why. */
function endedBeforeHello(request: StartRequest): DynamoError {
  const record = readRecord(deploymentPaths(request.dir).record);
  return record?.error
    ? DynamoError.from(record.error)
    : new DynamoError('START_LOST', 'the controller ended before it could be asked');
}

async function replaceRunning(options: StartOptions): Promise<void> {
  if (!options.replace) throw recipeChanged(options.request);
  options.onNote(`another recipe runs as ${options.request.deployment}: stopping it first`);
  await stopDeployment(options.request.deployment, options.request.dir, { force: false });
}

function recipeChanged(request: StartRequest): DynamoError {
  const record = readRecord(deploymentPaths(request.dir).record);
  return new DynamoError('RECIPE_CHANGED', `${request.deployment} runs with another recipe`, {
    details: record ? planDifference(record.plan, request.plan) : [],
  });
}

/**
 * Stops a deployment, attended or not, and waits until nothing is left. Throws `STOP_INCOMPLETE` with what is.
 * A controller that does not answer (suspended) is killed first: its deployment is then stopped by a new one. `onLeft` is told
 * of records that stay in a store which cannot be reached.
 */
export async function stopDeployment(
  deployment: string,
  dir: string,
  options: { force: boolean; onSuspended?: (pid: number) => void; onLeft?: (what: string) => void },
): Promise<void> {
  let client = await connectController(dir).catch((error: unknown) => {
    if (error instanceof DynamoError && error.code === 'CONNECT_FAILED') return null;
    throw error;
  });
  if (client === null) await killSuspendedController(dir, options.onSuspended);
  if (!client) {
    const record = readRecord(deploymentPaths(dir).record);
    if (!record || record.phase === 'stopped' || record.phase === 'failed') return;
    await spawnController(deployment, dir, undefined);
    client = await until(() => connectController(dir).then((found) => found ?? (isOver(dir) ? null : undefined)), {
      deadlineMs: 10_000,
      intervalMs: 10,
    });
    if (client === null) return;
    if (!client)
      throw new DynamoError(
        'STOP_INCOMPLETE',
        `the controller that was to stop ${deployment} ended before it could be asked`,
        {
          details: lastLines(deploymentPaths(dir).controllerLog, 10),
          hint: 'Run the same command again.',
        },
      );
  }
  try {
    client.peer.on('event', ({ type, message }) => {
      if (type === 'records-left') options.onLeft?.(message);
    });
    const { leftPids } = await client.peer.request('stop', { force: options.force });
    if (leftPids.length > 0) {
      throw new DynamoError(
        'STOP_INCOMPLETE',
        `${leftPids.length} processes of ${deployment} could not be ended: ${leftPids.join(', ')}`,
      );
    }
    await client.peer.closed;
  } catch (error) {
    // The controller may be gone before its answer has arrived; the record has the truth.
    if (!(error instanceof DynamoError && error.code === 'CONNECT_FAILED') || !isOver(dir)) throw error;
  } finally {
    client.peer.close();
  }
}

function isOver(dir: string): boolean {
  const phase = readRecord(deploymentPaths(dir).record)?.phase;
  return phase === 'stopped' || phase === 'failed';
}

async function killSuspendedController(dir: string, onSuspended: ((pid: number) => void) | undefined): Promise<void> {
  const identity = readControllerIdentity(dir);
  if (!identity)
    throw new DynamoError(
      'DEPLOYMENT_BUSY',
      `its controller does not answer (${lockHolder(deploymentPaths(dir).controllerLock) ?? 'unknown'})`,
    );
  onSuspended?.(identity.pid);
  signalProcess(identity, 'SIGKILL');
  await until(() => (isAlive(identity) ? undefined : true), { deadlineMs: 5_000 });
}
