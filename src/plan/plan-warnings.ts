import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import { isLoopback } from '../base/url-host.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { looksSecret } from '../recipe/secret-names.ts';
import type { ProcessSpec } from './launch-plan.ts';
import type { PlanHost } from './plan-hosts.ts';

/** A GPU with more than this in use when the facts were taken is probably somebody's. */
const BUSY_BYTES = 1024 ** 3;

/** What the user should know though it stops nothing. */
export function planWarnings(recipe: Recipe, hosts: readonly PlanHost[], processes: readonly ProcessSpec[]): string[] {
  return [
    ...missingPrograms(hosts, processes),
    ...busyGpus(hosts, processes),
    ...unequalEngines(hosts, processes),
    ...slowKvPaths(hosts, processes),
    ...writtenSecrets(processes),
    ...openFrontends(processes),
    ...longStart(recipe),
  ];
}

/** Engines and etcd that were looked for on a host and are not there. */
function missingPrograms(hosts: readonly PlanHost[], processes: readonly ProcessSpec[]): string[] {
  const missing = new Map<string, { installHint: string; on: Set<string> }>();
  for (const { argv, host, installHint = '' } of processes) {
    const program = argv[0] ?? '';
    if (hosts.find(({ name }) => name === host)?.facts.commands[program] !== null) continue;
    const entry = missing.get(program) ?? { installHint, on: new Set() };
    missing.set(program, { ...entry, on: entry.on.add(host) });
  }
  return [...missing].map(
    ([program, { installHint, on }]) => `\`${program}\` was not found on ${[...on].join(', ')}. ${installHint}`,
  );
}

function busyGpus(hosts: readonly PlanHost[], processes: readonly ProcessSpec[]): string[] {
  return processes.flatMap((spec) => {
    const facts = hosts.find(({ name }) => name === spec.host)?.facts;
    return spec.gpus.flatMap((index) => {
      const used = facts?.gpus.find((gpu) => gpu.index === index)?.memoryUsedBytes ?? 0;
      if (used < BUSY_BYTES) return [];
      const where = hosts.length === 1 ? '' : ` of ${spec.host}`;
      return [`GPU ${index}${where} for ${spec.name} already has ${formatBytes(used)} in use`];
    });
  });
}

/** Prefill and decode workers, and the hosts of one worker, understand each other only with one version of the engine. */
function unequalEngines(hosts: readonly PlanHost[], processes: readonly ProcessSpec[]): string[] {
  const together = processes.filter(({ kvTransfer, group }) => kvTransfer !== null || group !== undefined);
  const families = Map.groupBy(together, ({ model, argv }) => `${model}|${argv[0]}`);
  const found = [...families.values()].flatMap((specs) => {
    const program = specs[0]?.argv[0] ?? '';
    const versions = new Map<string, Set<string>>();
    for (const spec of specs) {
      const version = hosts.find(({ name }) => name === spec.host)?.facts.engines?.[program]?.version;
      if (version) versions.set(version, (versions.get(version) ?? new Set()).add(spec.host));
    }
    if (versions.size < 2) return [];
    const each = [...versions].map(([version, on]) => `${version} on ${[...on].join(', ')}`).join(' but ');
    return [`${program} is ${each}: its workers hand KV cache over, and span hosts, only with one version`];
  });
  return [...new Set(found)];
}

/** Hosts whose probe found no RDMA, though KV cache leaves them. */
function slowKvPaths(hosts: readonly PlanHost[], processes: readonly ProcessSpec[]): string[] {
  const exchanging = processes.filter(({ kvTransfer, gpus }) => kvTransfer !== null && gpus.length > 0);
  const families = Map.groupBy(exchanging, ({ model }) => model);
  const crossing = [...families.values()].filter((specs) => new Set(specs.map(({ host }) => host)).size > 1).flat();
  const slow = hosts.filter(
    ({ name, facts }) =>
      crossing.some((spec) => spec.host === name) &&
      facts.rdma !== undefined &&
      !facts.rdma.some(({ state }) => state.toLowerCase() === 'active'),
  );
  if (slow.length === 0) return [];
  const names = slow.map(({ name }) => name).join(', ');
  return [`no active RDMA device on ${names}: KV cache between hosts goes over TCP there, which is far slower`];
}

function writtenSecrets(processes: readonly ProcessSpec[]): string[] {
  const names = processes.flatMap(({ env }) =>
    Object.entries(env).flatMap(([name, value]) =>
      typeof value === 'string' && value !== '' && looksSecret(name) ? [name] : [],
    ),
  );
  return [...new Set(names)].map(
    (name) => `${name} looks like a secret and would be stored with the plan; write { fromEnv: ${name} } instead`,
  );
}

function openFrontends(processes: readonly ProcessSpec[]): string[] {
  const addresses = processes
    .filter(({ role }) => role === 'frontend')
    .map(({ argv }) => argv[argv.indexOf('--http-host') + 1] ?? '')
    .filter((address) => !isLoopback(address));
  return [...new Set(addresses)].map(
    (address) => `the frontend listens on ${address} without access control: whoever reaches it can use it`,
  );
}

function longStart(recipe: Recipe): string[] {
  return recipe.models.flatMap(({ groups }) =>
    groups.flatMap((group) => {
      const startup = group.args['startup-time'];
      const limit = group.startTimeout ?? findEngine(group.engine).defaults.startTimeoutMs;
      if (group.engine !== 'mocker' || typeof startup !== 'number' || startup * 1_000 < limit) return [];
      return [
        `${group.role} workers take ${startup} s to start but have ${formatDuration(limit)} for it: raise \`startTimeout\``,
      ];
    }),
  );
}
