import { readJsonFile } from '../base/atomic-file.ts';
import { DynamoError } from '../base/errors.ts';
import { isAlive } from '../supervise/identity.ts';
import type { AgentStatus } from '../supervise/protocol.ts';
import { composeSnapshot } from './compose-snapshot.ts';
import { connectController } from './controller-client.ts';
import { readControllerIdentity } from './controller-identity.ts';
import { observeAgents } from './observe-agent.ts';
import { type DeploymentRecord, readRecord } from './record.ts';
import type { DeploymentSnapshot } from './snapshot.ts';
import { deploymentDir, deploymentPaths, listDeploymentNames } from './state-dir.ts';

/**
 * The state of a deployment now: from its controller; while none runs, from its agents; else from its files.
 * Throws `NO_DEPLOYMENT` when there is none of that name.
 */
export async function readSnapshot(name: string): Promise<DeploymentSnapshot> {
  const dir = deploymentDir(name);
  // A controller that listens but does not answer is suspended: to those who look, the deployment is unattended.
  const client = await connectController(dir).catch((error: unknown) => {
    if (error instanceof DynamoError && error.code === 'CONNECT_FAILED') return null;
    throw error;
  });
  if (client) {
    client.peer.close();
    return client.hello.snapshot;
  }
  const seen = readDeployment(name);
  const agents = await observeAgents(seen, dir);
  // One that has written the record and does not listen yet is no dead one; one that has ended since has said why.
  const lives = client === null || hasLivingController(dir);
  const record = lives ? seen : readDeployment(name);
  const epoch = Number(readJsonFile(deploymentPaths(dir).epoch) ?? 0);
  return composeSnapshot({ record: withTruth(record, agents, lives), epoch, controllerPid: null, agents });
}

function hasLivingController(dir: string): boolean {
  const identity = readControllerIdentity(dir);
  return identity !== undefined && isAlive(identity);
}

/** The record of a deployment. Throws `NO_DEPLOYMENT` with the names there are. */
export function readDeployment(name: string): DeploymentRecord {
  const record = readRecord(deploymentPaths(deploymentDir(name)).record);
  if (record) return record;
  const known = listDeploymentNames();
  throw new DynamoError('NO_DEPLOYMENT', `there is no deployment called ${name}`, {
    ...(known.length > 0
      ? { hint: `Known on this machine: ${known.join(', ')}.` }
      : { hint: 'None has been started yet: dynamo serve recipes/quickstart.yaml' }),
  });
}

/** Base URL of a running deployment. Throws `NO_DEPLOYMENT` when it is not there or not up. */
export function findEndpoint(name: string): string {
  const record = readDeployment(name);
  if (record.phase === 'committed' || record.phase === 'starting') return record.plan.endpoint;
  throw new DynamoError('NO_DEPLOYMENT', `${name} is ${record.phase}`, {
    hint: `Start it again: dynamo serve ${record.recipeFile}`,
  });
}

/**
 * Name of the only deployment that is up, for commands without an argument. One that cannot be read counts only when no other is up.
 * Throws `NO_DEPLOYMENT`, `USAGE`, or why the one cannot be read.
 */
export function theOnlyDeployment(): string {
  const unreadable: unknown[] = [];
  const names = listDeploymentNames().filter((name) => {
    try {
      const record = readRecord(deploymentPaths(deploymentDir(name)).record);
      return record !== undefined && record.phase !== 'stopped' && record.phase !== 'failed';
    } catch (error) {
      unreadable.push(error);
      return false;
    }
  });
  if (names.length === 1) return names[0]!;
  if (names.length === 0 && unreadable.length > 0) throw unreadable[0];
  if (names.length === 0)
    throw new DynamoError('NO_DEPLOYMENT', 'no deployment is running', {
      hint: 'Start one: dynamo serve recipes/quickstart.yaml',
    });
  throw new DynamoError('USAGE', `several deployments are running: ${names.join(', ')}`, {
    hint: 'Name the one you mean.',
  });
}

/**
 * What the record does not know because its controller died: an agent that has settled says that the start was committed;
 * no agent at all, that it was taken back.
 */
function withTruth(
  record: DeploymentRecord,
  agents: ReadonlyMap<string, AgentStatus>,
  hasController: boolean,
): DeploymentRecord {
  if (record.phase !== 'starting') return record;
  const settled = [...agents.values()].some(
    (status) => status.phase === 'committed' && status.generation === record.generation,
  );
  if (settled) return { ...record, phase: 'committed' };
  if (agents.size > 0 || hasController) return record;
  const error = new DynamoError(
    'START_LOST',
    'its controller died during the start, and the agents took everything back',
  );
  return { ...record, phase: 'failed', error: error.toJSON() };
}
