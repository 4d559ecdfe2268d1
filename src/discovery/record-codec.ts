import { ROLES, type Role } from '../base/role.ts';
import {
  type CommitRecord,
  type Instance,
  type InstanceRecord,
  KV_TRANSFER_DIALECTS,
  type KvTransferDialect,
} from './discovery.ts';

/** An instance as it lies in the store: the record, and who may refresh it. */
export interface StoredInstance {
  record: InstanceRecord;
  lease: LeaseMark;
}

/** Orders the owners of one (name, generation): each registration takes the next number; a tie goes to the greater token. */
export interface LeaseMark {
  number: number;
  token: string;
}

const FORMAT = 1;

const OPTIONAL_NUMBERS = [
  'processStart',
  'kvBlockSize',
  'kvTotalBlocks',
  'maxModelLen',
  'maxNumSeqs',
  'maxNumBatchedTokens',
] as const;

export function formatInstance(stored: StoredInstance): string {
  return `${JSON.stringify({ format: FORMAT, ...stored.record, lease: stored.lease })}\n`;
}

/** Reads a stored instance, or returns in words what is wrong with it. Unknown keys are ignored. */
export function parseInstance(text: string): StoredInstance | string {
  const value = parseObject(text);
  if (typeof value === 'string') return value;
  for (const key of ['deployment', 'name', 'host', 'url'] as const) {
    if (typeof value[key] !== 'string') return `${key} is not a string`;
  }
  for (const key of ['model', 'engine'] as const) {
    if (value[key] !== null && typeof value[key] !== 'string') return `${key} is neither a string nor null`;
  }
  for (const key of OPTIONAL_NUMBERS) {
    if (value[key] !== null && !Number.isFinite(value[key])) return `${key} is neither a number nor null`;
  }
  if (!isCount(value['generation'])) return 'generation is not a whole number';
  if (!isCount(value['counter'])) return 'counter is not a whole number';
  if (!ROLES.includes(value['role'] as Role)) return `role ${JSON.stringify(value['role'])} is unknown`;
  if (value['state'] !== 'ready' && value['state'] !== 'draining') return 'state is neither ready nor draining';
  if (value['kvTransfer'] !== null && !KV_TRANSFER_DIALECTS.includes(value['kvTransfer'] as KvTransferDialect))
    return 'kvTransfer is unknown';
  if (!isBootstrap(value['bootstrap'] ?? null)) return 'bootstrap is neither a host with a port nor null';
  if (!isKvEventSource(value['kvEvents'] ?? null)) return 'kvEvents is neither a pair of addresses nor null';
  if (typeof (value['hybridKv'] ?? false) !== 'boolean') return 'hybridKv is neither true, false nor null';
  if (!isPeerList(value['failedPeers'] ?? [])) return 'failedPeers is not a list of names with generations';
  const lease = value['lease'];
  if (!isObject(lease) || !isCount(lease['number']) || typeof lease['token'] !== 'string') return 'lease is missing';
  const instance = instanceOf(value as unknown as Instance);
  return {
    record: { ...instance, state: value['state'], counter: value['counter'] },
    lease: { number: lease['number'], token: lease['token'] },
  };
}

/** The fields of an instance and no others, in one order. */
export function instanceOf(value: Instance): Instance {
  return {
    deployment: value.deployment,
    name: value.name,
    generation: value.generation,
    role: value.role,
    host: value.host,
    model: value.model,
    engine: value.engine,
    url: value.url,
    processStart: value.processStart,
    kvBlockSize: value.kvBlockSize,
    kvTotalBlocks: value.kvTotalBlocks,
    maxModelLen: value.maxModelLen,
    maxNumSeqs: value.maxNumSeqs,
    maxNumBatchedTokens: value.maxNumBatchedTokens,
    kvTransfer: value.kvTransfer,
    // Absent stays absent: records of older versions have none of these.
    ...(value.bootstrap ? { bootstrap: { host: value.bootstrap.host, port: value.bootstrap.port } } : {}),
    ...(value.kvEvents
      ? { kvEvents: { events: value.kvEvents.events, replay: value.kvEvents.replay, ranks: value.kvEvents.ranks } }
      : {}),
    ...(typeof value.hybridKv === 'boolean' ? { hybridKv: value.hybridKv } : {}),
    ...(value.failedPeers?.length
      ? { failedPeers: value.failedPeers.map(({ name, generation }) => ({ name, generation })) }
      : {}),
  };
}

function isPeerList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((peer: unknown) => isObject(peer) && typeof peer['name'] === 'string' && isCount(peer['generation']))
  );
}

/** True if an observer would see the same thing: everything but the counter. */
export function isSameInstance(a: InstanceRecord, b: InstanceRecord): boolean {
  return a.state === b.state && JSON.stringify(instanceOf(a)) === JSON.stringify(instanceOf(b));
}

/** Owner of `a` comes after owner of `b`. */
export function isNewerLease(a: LeaseMark, b: LeaseMark): boolean {
  return a.number > b.number || (a.number === b.number && a.token > b.token);
}

export function formatCommit(record: CommitRecord): string {
  const { deployment, generation, revision, planHash, epoch } = record;
  return `${JSON.stringify({ format: FORMAT, deployment, generation, ...(revision ? { revision } : {}), planHash, epoch })}\n`;
}

/** Reads a commit record, or returns in words what is wrong with it. */
export function parseCommit(text: string): CommitRecord | string {
  const value = parseObject(text);
  if (typeof value === 'string') return value;
  const { deployment, generation, revision, planHash, epoch } = value;
  if (typeof deployment !== 'string') return 'deployment is not a string';
  if (!isCount(generation)) return 'generation is not a whole number';
  if (revision !== undefined && !isCount(revision)) return 'revision is not a whole number';
  if (typeof planHash !== 'string') return 'planHash is not a string';
  if (!isCount(epoch)) return 'epoch is not a whole number';
  return { deployment, generation, ...(revision ? { revision } : {}), planHash, epoch };
}

function parseObject(text: string): Record<string, unknown> | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text === '' ? 'it is empty' : 'it is not JSON';
  }
  if (!isObject(value)) return 'it is not a JSON object';
  if (value['format'] !== FORMAT) return `format ${JSON.stringify(value['format']) ?? 'missing'} is not ${FORMAT}`;
  return value;
}

function isBootstrap(value: unknown): boolean {
  if (value === null) return true;
  return isObject(value) && typeof value['host'] === 'string' && isCount(value['port']);
}

function isKvEventSource(value: unknown): boolean {
  if (value === null) return true;
  if (!isObject(value) || typeof value['events'] !== 'string' || !isCount(value['ranks'])) return false;
  return value['replay'] === null || typeof value['replay'] === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
