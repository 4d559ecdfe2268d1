import { randomBytes } from 'node:crypto';
import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import { readRecord } from '../deployment/record.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import { startDeployment } from '../deployment/start-deployment.ts';
import { deploymentPaths } from '../deployment/state-dir.ts';
import { isLostPort } from '../plan/lost-port.ts';
import { CopyDisplay, drawingTerminal } from './copy-display.ts';
import { PORT_RETRIES, portsOf } from './lost-port.ts';
import { type PreparedLaunch, prepareLaunch } from './plan-recipe.ts';
import type { RecipeFlags } from './recipe-options.ts';
import { startRequest } from './start-request.ts';

/** A deployment for one measurement or check. */
export interface EphemeralLaunch {
  prepared: PreparedLaunch;
  /** Node for hosts that have none. */
  nodeArchive?: string | undefined;
  /** The same with other ports, when some were taken between plan and start. */
  again(takenPorts: readonly number[]): Promise<PreparedLaunch>;
}

/** A launch under a name of its own and on free ports, so that it runs beside a deployment of the same recipe. */
export async function prepareEphemeral(purpose: string, recipe: string, flags: RecipeFlags): Promise<EphemeralLaunch> {
  const name = flags.name ?? `${purpose}-${randomBytes(4).toString('hex')}`;
  const again = (takenPorts: readonly number[]): Promise<PreparedLaunch> =>
    prepareLaunch({
      ...flags,
      recipe,
      name,
      takenPorts,
      set: [...(flags.set ?? []), 'frontend.port=auto'],
      env: process.env,
      cwd: process.cwd(),
    });
  return { prepared: await again([]), again, nodeArchive: flags.nodeArchive };
}

/**
 * Starts a deployment that is tied to this command (when CI kills it, the controller stops everything by itself) and waits until it is
 * ready. Throws what made the start fail, or the signal's reason. `launch.prepared` is what runs in the end.
 */
export async function serveEphemeral(launch: EphemeralLaunch, signal: AbortSignal): Promise<DeploymentSnapshot> {
  const takenPorts: number[] = [];
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(launch, signal);
    } catch (error) {
      if (!isLostPort(error, launch.prepared.plan.processes) || tries > PORT_RETRIES) throw error;
      takenPorts.push(...portsOf(launch.prepared.plan));
      launch.prepared = await launch.again(takenPorts);
    }
  }
}

async function start({ prepared, nodeArchive }: EphemeralLaunch, signal: AbortSignal): Promise<DeploymentSnapshot> {
  const copies = new CopyDisplay({
    terminal: drawingTerminal(process.env, [process.stderr]),
    env: process.env,
    say: (text) => void process.stderr.write(`${text}\n`),
  });
  try {
    return await startAndWait(prepared, { nodeArchive, signal, onSnapshot: (snapshot) => copies.take(snapshot) });
  } finally {
    copies.close();
  }
}

async function startAndWait(
  prepared: PreparedLaunch,
  options: {
    nodeArchive: string | undefined;
    signal: AbortSignal;
    onSnapshot(snapshot: DeploymentSnapshot): void;
  },
): Promise<DeploymentSnapshot> {
  const { nodeArchive, signal, onSnapshot } = options;
  let latest: DeploymentSnapshot | undefined;
  const { peer, hello } = await startDeployment({
    request: startRequest(prepared, { ephemeral: true, nodeArchive }),
    replace: false,
    prepare: (connected) =>
      connected.on('snapshot', (snapshot) => {
        latest = snapshot;
        onSnapshot(snapshot);
      }),
    preflight: () => {},
    onNote: () => {},
  });
  latest ??= hello.snapshot;
  for (;;) {
    if (latest.state === 'ready') return latest;
    const error =
      latest.error ?? (peer.open ? null : (readRecord(deploymentPaths(prepared.dir).record)?.error ?? null));
    if (error) throw DynamoError.from(error);
    if (!peer.open) throw new DynamoError('START_LOST', 'the controller ended during the start');
    const seen: DeploymentSnapshot = latest;
    await until(() => (latest !== seen || !peer.open ? true : undefined), {
      deadlineMs: 1_000,
      intervalMs: 20,
      signal,
    });
  }
}
