import { WORKER_ROLES, type WorkerRole } from '../base/role.ts';
import { toHostEntries } from '../hosts/host-entries.ts';
import type {
  DiscoveryRecipe,
  HookRecipe,
  HooksRecipe,
  KvOffloadRecipe,
  KvTransferRecipe,
  LoadRecipe,
  ModelRecipe,
  Recipe,
  RecipePath,
  RestartRecipe,
  Slo,
  WorkerGroupRecipe,
} from './recipe.ts';
import type { DiscoveryFile, EngineName, HooksFile, ModelFile, RecipeFile, WorkerGroupFile } from './schema.ts';

const DEFAULT_RESTART: RestartRecipe = {
  policy: 'always',
  initialBackoff: 1_000,
  maxBackoff: 30_000,
  maxRestarts: 8,
  resetAfter: 60_000,
};

/** Brings a checked recipe into its one shape. `fallbackName` is used when it has no name of its own. */
export function normaliseRecipe(file: RecipeFile, fallbackName: string): Recipe {
  return {
    name: file.name ?? fallbackName,
    description: file.description ?? null,
    models: modelsOf(file).map(({ model, path }) => normaliseModel(model, path, file)),
    frontend: { ...file.frontend, restart: normaliseRestart(file.frontend.restart) },
    discovery: normaliseDiscovery(file.discovery),
    hosts: normaliseHosts(file.hosts),
    logs: file.logs ?? null,
    ...normaliseHooks(file.hooks),
    slo: file.slo ?? null,
    startLease: file.startLease,
  };
}

function normaliseHosts(written: RecipeFile['hosts']): Recipe['hosts'] {
  return typeof written === 'object' ? toHostEntries({ hosts: written }).entries : (written ?? null);
}

const DEFAULT_HOOK_TIMEOUT_MS = 30_000;

function normaliseHooks(written: HooksFile | undefined): Pick<Recipe, 'hooks'> {
  const events = ['onReady', 'onFailure', 'onStop'] as const;
  const hooks: HooksRecipe = Object.fromEntries(
    events.flatMap((event) => {
      const hook = written?.[event];
      return hook === undefined ? [] : [[event, normaliseHook(hook)]];
    }),
  );
  return Object.keys(hooks).length > 0 ? { hooks } : {};
}

function normaliseHook(written: NonNullable<HooksFile['onReady']>): HookRecipe {
  if (typeof written === 'string' || Array.isArray(written))
    return { command: wordsOf(written), timeout: DEFAULT_HOOK_TIMEOUT_MS, env: {} };
  return { ...written, command: wordsOf(written.command) };
}

const wordsOf = (command: string | string[]): string[] =>
  typeof command === 'string' ? ['/bin/sh', '-c', command] : command;

/** The models as written, whether as a list or at the top. */
export function modelsOf(file: RecipeFile): { model: ModelFile; path: RecipePath }[] {
  if (file.models) return file.models.map((model, index) => ({ model, path: ['models', index] }));
  const { model, servedModelName, workers, kvTransfer } = file;
  if (workers === undefined) return [];
  // A missing model is reported by the cross-checks; its workers are looked at all the same.
  return [{ model: { model: model ?? '', servedModelName, workers, kvTransfer }, path: [] }];
}

/** The groups of a model with their role and their place in the recipe. */
export function groupsOf(
  model: ModelFile,
  path: RecipePath,
): { role: WorkerRole; group: WorkerGroupFile; path: RecipePath }[] {
  return WORKER_ROLES.flatMap((role) => {
    const written = model.workers[role];
    const at = [...path, 'workers', role];
    if (written === undefined) return [];
    if (!Array.isArray(written)) return [{ role, group: written, path: at }];
    return written.map((group, index) => ({ role, group, path: [...at, index] }));
  });
}

function normaliseModel(model: ModelFile, path: RecipePath, file: RecipeFile): ModelRecipe {
  const inherited = {
    engine: model.engine ?? file.engine,
    kvOffload: model.kvOffload ?? file.kvOffload,
    load: model.load ?? file.load,
  };
  const groups = groupsOf(model, path).map((found) => normaliseGroup(found, inherited));
  const disaggregated = groups.some((group) => group.role !== 'aggregated');
  const transfer = { ...file.kvTransfer, ...model.kvTransfer };
  const kvTransfer: KvTransferRecipe = {
    connector: disaggregated ? (transfer.connector ?? 'nixl') : 'none',
    lease: transfer.lease,
    loadFailurePolicy: transfer.loadFailurePolicy ?? 'fail',
  };
  const slo: Slo | null = model.slo ?? file.slo ?? null;
  return {
    path,
    model: model.model,
    servedModelName: model.servedModelName ?? model.model,
    kvTransfer,
    kvEvents: model.kvEvents ?? file.kvEvents ?? false,
    allow: model.allow ?? file.allow ?? [],
    slo,
    groups,
  };
}

function normaliseGroup(
  { role, group, path }: { role: WorkerRole; group: WorkerGroupFile; path: RecipePath },
  inherited: {
    engine: EngineName;
    kvOffload: WorkerGroupFile['kvOffload'];
    load: WorkerGroupFile['load'];
  },
): WorkerGroupRecipe {
  return {
    ...group,
    path,
    role,
    engine: group.engine ?? inherited.engine,
    restart: normaliseRestart(group.restart),
    command: typeof group.command === 'string' ? [group.command] : (group.command ?? null),
    kvOffload: normaliseOffload(group.kvOffload ?? inherited.kvOffload),
    load: normaliseLoad(group.load ?? inherited.load),
  };
}

/** An empty map switches an inherited one off. */
function normaliseOffload(written: WorkerGroupFile['kvOffload']): KvOffloadRecipe | null {
  return written && (written.cpu !== undefined || written.disk || written.remote) ? written : null;
}

function normaliseLoad(written: WorkerGroupFile['load']): LoadRecipe | null {
  if (written === undefined) return null;
  return typeof written === 'string' ? { loader: written, settings: {} } : written;
}

function normaliseRestart(written: WorkerGroupFile['restart']): RestartRecipe {
  if (written === undefined) return DEFAULT_RESTART;
  return typeof written === 'string' ? { ...DEFAULT_RESTART, policy: written } : written;
}

/** Keys that do not belong to the backend are reported by the cross-checks. */
function normaliseDiscovery({ backend, ttl, root, endpoints, managed, ...etcd }: DiscoveryFile): DiscoveryRecipe {
  if (backend === 'file') return { backend, ttl, root };
  const listed = typeof endpoints === 'string' ? endpoints.split(',').map((text) => text.trim()) : (endpoints ?? []);
  return {
    ...{ backend, ttl, ...etcd },
    endpoints: listed.filter((text) => text !== ''),
    managed: managed === true ? {} : (managed ?? null),
  };
}
