import { WORKER_ROLES } from '../base/role.ts';
import { toHostEntries } from '../hosts/host-entries.ts';
import { formatPath } from '../yaml/problem.ts';
import { checkDiscovery } from './check-discovery.ts';
import { groupsOf, modelsOf } from './normalise.ts';
import type { RecipeIssue } from './problem.ts';
import type { RecipePath } from './recipe.ts';
import type { ModelFile, RecipeFile } from './schema.ts';

type Check = (file: RecipeFile) => RecipeIssue[];

/** What the schema cannot say: rules between keys. */
export function crossCheck(file: RecipeFile): RecipeIssue[] {
  return CHECKS.flatMap((check) => check(file));
}

const oneWayToNameModels: Check = (file) => {
  const issues: RecipeIssue[] = [];
  for (const key of ['model', 'servedModelName', 'workers'] as const) {
    if (file.models && file[key] !== undefined)
      issues.push({ path: [key], message: `\`${key}\` at the top and \`models\` exclude each other`, atKey: true });
  }
  if (file.models) return issues;
  if (file.model === undefined)
    issues.push({ path: ['model'], message: '`model` is missing: a hub id or a path, or a list of `models`' });
  if (file.workers === undefined)
    issues.push({ path: ['workers'], message: '`workers` is missing: `aggregated`, or `prefill` and `decode`' });
  return issues;
};

const rolesThatWork: Check = (file) => workersOf(file).flatMap(checkRoles);

function checkRoles({ workers, path }: { workers: ModelFile['workers']; path: RecipePath }): RecipeIssue[] {
  const at = (role: string): RecipePath => [...path, 'workers', role];
  const { prefill, decode, aggregated } = workers;
  if (WORKER_ROLES.every((role) => workers[role] === undefined))
    return [{ path: [...path, 'workers'], message: 'no workers: expected `aggregated`, or `prefill` and `decode`' }];
  if (aggregated && (prefill || decode))
    return [
      {
        path: at('aggregated'),
        message: 'a model has either `aggregated` workers or `prefill` and `decode` workers, not both',
        atKey: true,
      },
    ];
  if (prefill && !decode)
    return [{ path: at('prefill'), message: '`prefill` workers need `decode` workers beside them', atKey: true }];
  if (decode && !prefill)
    return [
      {
        path: at('decode'),
        message: '`decode` workers need `prefill` workers beside them; workers that do both are `aggregated`',
        atKey: true,
      },
    ];
  return [];
}

const transferForDisaggregation: Check = (file) =>
  modelsOf(file).flatMap(({ model, path }) => {
    const own = model.kvTransfer?.connector;
    const connector = own ?? file.kvTransfer?.connector;
    if (connector !== 'none' || (!model.workers.prefill && !model.workers.decode)) return [];
    return [
      {
        path: [...(own === undefined ? [] : path), 'kvTransfer', 'connector'],
        message: '`none` leaves prefill and decode workers without a way to hand over the KV cache; use `nixl`',
      },
    ];
  });

const distinctNames: Check = (file) => {
  const seen = new Map<string, RecipePath>();
  return modelsOf(file).flatMap(({ model, path }) => {
    const name = model.servedModelName ?? model.model;
    const first = seen.get(name);
    if (!first) {
      seen.set(name, path);
      return [];
    }
    const key = model.servedModelName === undefined ? 'model' : 'servedModelName';
    return [
      {
        path: [...path, key],
        message: `\`${formatPath(first)}\` is already served as "${name}"; give one of them another servedModelName`,
      },
    ];
  });
};

const distinctPorts: Check = (file) => {
  const holders = new Map<number, string>();
  const issues: RecipeIssue[] = [];
  const claim = (first: number | 'auto' | undefined, replicas: number, path: RecipePath) => {
    if (typeof first !== 'number') return;
    const owner = formatPath(path.slice(0, -1));
    if (first + replicas - 1 > 65_535) {
      issues.push({ path, message: `${replicas} replicas from port ${first} up end past 65535` });
      return;
    }
    for (let port = first; port < first + replicas; port += 1) {
      const holder = holders.get(port);
      if (holder !== undefined) {
        issues.push({ path, message: `port ${port} is already taken by \`${holder}\`` });
        return;
      }
      holders.set(port, owner);
    }
  };
  claim(file.frontend.port, file.frontend.replicas, ['frontend', 'port']);
  for (const { model, path } of modelsOf(file))
    for (const found of groupsOf(model, path)) claim(found.group.port, found.group.replicas, [...found.path, 'port']);
  return issues;
};

const hostsThatFit: Check = (file) =>
  typeof file.hosts === 'object' ? toHostEntries({ hosts: file.hosts }).issues : [];

const usefulTimes: Check = (file) => {
  const issues: RecipeIssue[] = [];
  if (file.discovery.ttl < 1_000) issues.push({ path: ['discovery', 'ttl'], message: 'expected at least 1s' });
  if (file.startLease < 1_000) issues.push({ path: ['startLease'], message: 'expected at least 1s' });
  return issues;
};

const CHECKS: readonly Check[] = [
  oneWayToNameModels,
  rolesThatWork,
  transferForDisaggregation,
  distinctNames,
  distinctPorts,
  (file) => checkDiscovery(file.discovery),
  usefulTimes,
  hostsThatFit,
];

function workersOf(file: RecipeFile): { workers: ModelFile['workers']; path: RecipePath }[] {
  if (file.models) return file.models.map(({ workers }, index) => ({ workers, path: ['models', index] }));
  return file.workers ? [{ workers: file.workers, path: [] }] : [];
}
