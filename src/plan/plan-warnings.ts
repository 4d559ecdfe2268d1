import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import { findEngine } from '../engines/find-engine.ts';
import type { HostFacts } from '../hosts/host-facts.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { looksSecret } from '../recipe/secret-names.ts';
import type { ProcessSpec } from './launch-plan.ts';

/** A GPU with more than this in use when the facts were taken is probably somebody's. */
const BUSY_BYTES = 1024 ** 3;

/** What the user should know though it stops nothing. */
export function planWarnings(recipe: Recipe, facts: HostFacts, processes: readonly ProcessSpec[]): string[] {
  return [
    ...missingPrograms(recipe, facts),
    ...missingStore(facts, processes),
    ...busyGpus(facts, processes),
    ...writtenSecrets(processes),
    ...openFrontend(recipe),
    ...longStart(recipe),
  ];
}

function missingPrograms(recipe: Recipe, facts: HostFacts): string[] {
  const groups = recipe.models.flatMap((model) => model.groups);
  const wanted = groups.flatMap((group) => {
    const { command } = findEngine(group.engine);
    return command && group.command === null ? [command] : [];
  });
  return [...new Set(wanted)]
    .filter(({ name }) => facts.commands[name] === null)
    .map(({ name, installHint }) => `\`${name}\` was not found on ${facts.name}. ${installHint}`);
}

/** A managed etcd is looked for like an engine. */
function missingStore(facts: HostFacts, processes: readonly ProcessSpec[]): string[] {
  const stores = processes.filter(
    ({ role, host, argv }) => role === 'store' && host === facts.name && argv[0] === 'etcd',
  );
  if (stores.length === 0 || facts.commands['etcd'] !== null) return [];
  return [`\`etcd\` was not found on ${facts.name}. ${stores[0]!.installHint}`];
}

function busyGpus(facts: HostFacts, processes: readonly ProcessSpec[]): string[] {
  return processes.flatMap((spec) =>
    spec.gpus.flatMap((index) => {
      const used = facts.gpus.find((gpu) => gpu.index === index)?.memoryUsedBytes ?? 0;
      return used < BUSY_BYTES ? [] : [`GPU ${index} for ${spec.name} already has ${formatBytes(used)} in use`];
    }),
  );
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

function openFrontend({ frontend }: Recipe): string[] {
  const local = ['localhost', '::1'].includes(frontend.host) || frontend.host.startsWith('127.');
  return local
    ? []
    : [`the frontend listens on ${frontend.host} without access control: whoever reaches it can use it`];
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
