import { DynamoError, messageOf } from '../base/errors.ts';
import type { DeploymentRecord, NewDeploymentRecord } from '../deployment/record.ts';
import { planDifference } from '../plan/plan-difference.ts';
import type { EventLog } from '../supervise/event-log.ts';
import type { GangPhase, StartRequest } from '../supervise/protocol.ts';
import type { AgentLinks } from './agent-links.ts';
import type { CommitStore } from './commit-store.ts';
import type { RecordKeeper } from './record-keeper.ts';

const NOTHING_PUBLISHED: ReadonlySet<GangPhase> = new Set(['idle', 'reserved', 'prepared', 'starting', 'proved']);

/** What a new controller finds of an earlier one, and what it needs to judge it. */
export interface EarlierStart {
  record: RecordKeeper;
  request: StartRequest | undefined;
  epoch: number;
  events: EventLog;
  links: AgentLinks;
  /** Opens also while the store is away. */
  openDiscovery(record: DeploymentRecord): Promise<CommitStore>;
}

/** Undefined record or one that never reached its commit: a new generation. Else the running one is adopted. */
export async function isFreshStart(earlier: EarlierStart): Promise<boolean> {
  const { record: keeper, request, epoch, events, openDiscovery } = earlier;
  const record = keeper.known;
  if (!record) return true;
  if (record.phase === 'stopped' || record.phase === 'failed') return true;
  if (record.phase === 'stopping') return request !== undefined;
  const discovery = await openDiscovery(record);
  const { generation, planHash } = record;
  if (record.phase === 'starting') {
    try {
      return (await discovery.readCommit(generation))?.planHash !== planHash;
    } catch (error) {
      return settleDoubt(earlier, record, error);
    }
  }
  if (!request) return false; // stopping it needs no store
  // It was committed. A store that lost its content, or cannot be read, is no reason to take down what serves.
  const standing = await discovery
    .commit({ deployment: record.name, generation, planHash, epoch })
    .catch((error: unknown) => {
      events.write('discovery', messageOf(error));
      return undefined;
    });
  return standing !== undefined && standing.planHash !== planHash;
}

/**
 * The store cannot say whether a start was committed. An agent that has not published anything can: a commit comes after all
 * have. Otherwise whoever came to stop it may, and nobody else decides. Throws `DISCOVERY_UNREACHABLE`.
 */
async function settleDoubt(
  { request, events, links }: EarlierStart,
  { name, generation, plan }: DeploymentRecord,
  error: unknown,
): Promise<boolean> {
  events.write('discovery', messageOf(error));
  links.make(plan.hosts);
  const phases = await links.phases(generation);
  links.close();
  if (phases.some((phase) => NOTHING_PUBLISHED.has(phase))) return true;
  if (!request) return false;
  throw new DynamoError(
    'DISCOVERY_UNREACHABLE',
    `cannot know whether generation ${generation} of ${name} was committed: ${messageOf(error)}`,
    { hint: `Mend the store and try again, or end everything with \`dynamo stop ${name}\`.`, cause: error },
  );
}

/** What an earlier controller left uncommitted, or half stopped, goes before anything new is made. */
export async function takeBackEarlierStart(keeper: RecordKeeper, links: AgentLinks, events: EventLog): Promise<void> {
  const record = keeper.known;
  if (!record || record.phase === 'stopped' || record.phase === 'failed') return;
  events.write('undo', `generation ${record.generation} was never committed or half stopped: taking it back`);
  links.make([...new Set([...record.plan.hosts, ...(record.change?.plan.hosts ?? [])])]);
  const leftPids = await links.stop(true);
  if (leftPids.length > 0) {
    throw new DynamoError(
      'STOP_INCOMPLETE',
      `processes of an earlier start could not be ended: ${leftPids.join(', ')}`,
    );
  }
  links.close();
  keeper.change({ phase: 'stopped' });
}

/** It was committed a moment before its controller died, so whoever asked could not know what runs. Throws `RECIPE_CHANGED`. */
export function refuseOtherRecipe(record: DeploymentRecord, request: StartRequest | undefined): void {
  if (!request || request.recipeHash === record.recipeHash) return;
  throw new DynamoError('RECIPE_CHANGED', `${record.name} runs with another recipe`, {
    details: planDifference(record.plan, request.plan),
  });
}

/** The record of the next generation. */
export function nextRecord(request: StartRequest, earlier: DeploymentRecord | undefined): NewDeploymentRecord {
  return {
    name: request.deployment,
    recipeFile: request.recipeFile,
    recipeHash: request.recipeHash,
    recipeText: request.recipeText,
    plan: request.plan,
    ...(request.hosts ? { hosts: request.hosts } : {}),
    ...(request.spareHosts ? { spareHosts: request.spareHosts } : {}),
    ...(request.planInput ? { planInput: request.planInput } : {}),
    planHash: request.planHash,
    generation: (earlier?.generation ?? 0) + 1,
    phase: 'starting',
    startedAt: new Date().toISOString(),
    error: null,
  };
}
