import type { Engine, EngineFindings } from '../engines/engine.ts';
import { findEngine } from '../engines/find-engine.ts';
import { checkModel } from '../engines/model/check-model.ts';
import type { KnownModels } from '../engines/model/look-up-model.ts';
import type { WorkerSettings } from '../engines/worker.ts';
import type { RecipeIssue } from '../recipe/problem.ts';
import type { ModelRecipe, Recipe, WorkerGroupRecipe } from '../recipe/recipe.ts';
import { didYouMean } from '../yaml/nearest.ts';
import { formatPath } from '../yaml/problem.ts';

export interface EngineCheck {
  problems: RecipeIssue[];
  warnings: string[];
}

/** What the engines say about a recipe: flags they refuse or do not know, workers that cannot hand over to each other. */
export function checkEngines(recipe: Recipe, models: KnownModels = {}): EngineCheck {
  const found = recipe.models.flatMap((model) => [
    checkAllow(model),
    checkSharing(model),
    checkNodes(model),
    ...model.groups.map((group) => checkGroup(model, group, models)),
    ...(model.kvTransfer.connector === 'none' ? [] : [checkHandOver(model, models)]),
  ]);
  return {
    problems: found.flatMap(({ problems }) => problems),
    warnings: [...new Set(found.flatMap(({ warnings }) => warnings))],
  };
}

/** A group as its engine sees it. */
export function settingsOf(model: ModelRecipe, group: WorkerGroupRecipe, models: KnownModels = {}): WorkerSettings {
  const { path, role, args, env, command, gpus, nodes } = group;
  const { kvOffload, load, workersPerGpu, replicas, port, url = null } = group;
  const { servedModelName, kvTransfer } = model;
  const kvEvents = group.kvEvents ?? model.kvEvents;
  return {
    path,
    role,
    model: model.model,
    modelConfig: models[formatPath(path)]?.config ?? null,
    servedModelName,
    args,
    env,
    command,
    kvTransfer,
    kvEvents,
    kvOffload,
    load,
    workersPerGpu,
    replicas,
    port,
    url,
    gpus,
    nodes,
  };
}

/** GPUs of each worker of a group. */
export function gpusPerWorker(engine: Engine, settings: WorkerSettings): number {
  return engine.capabilities.gpus ? (settings.gpus ?? engine.defaultGpus(settings)) : 0;
}

function checkGroup(model: ModelRecipe, group: WorkerGroupRecipe, models: KnownModels): EngineCheck {
  const engine = findEngine(group.engine);
  const settings = settingsOf(model, group, models);
  const { problems, warnings } = applyAllow(model, engine.check(settings));
  const extra: string[] = [];
  const [known, use] = [models[formatPath(group.path)], engine.modelUse(settings)];
  if (known && use) problems.push(...checkModel(settings, use, known));
  if (group.url !== undefined && !engine.capabilities.external)
    problems.push({
      path: [...group.path, 'url'],
      message: `${engine.name} workers are started by dynamo; \`url\` is for \`engine: openai\``,
      atKey: true,
    });
  if (!engine.capabilities.gpus && (group.gpus ?? 0) > 0)
    extra.push(`${group.role} workers run the ${engine.name}, which uses no GPU: \`gpus: ${group.gpus}\` is ignored`);
  if (group.role !== 'aggregated' && !engine.capabilities.disaggregation)
    problems.push({
      path: group.path,
      message: `${engine.name} cannot separate prefill from decode; use \`aggregated\``,
      atKey: true,
    });
  return { problems, warnings: [...warnings, ...extra] };
}

/** Names under `allow` that no engine of the model knows: a typing error would otherwise go unseen. */
function checkAllow(model: ModelRecipe): EngineCheck {
  const known = [...new Set(model.groups.flatMap((group) => findEngine(group.engine).combinations))];
  const problems = model.allow.flatMap((name, index): RecipeIssue[] => {
    if (known.includes(name)) return [];
    const guess = didYouMean(name, known) || (known.length === 0 ? '' : `; known are ${known.join(', ')}`);
    return [{ path: [...model.path, 'allow', index], message: `there is no combination \`${name}\`${guess}` }];
  });
  return { problems, warnings: [] };
}

/** Turns combinations into problems or warnings, less what the recipe allows. */
function applyAllow(model: ModelRecipe, findings: EngineFindings): EngineCheck {
  const problems = [...findings.problems];
  const warnings = [...findings.warnings];
  for (const { name, verdict, path, message } of findings.combinations ?? []) {
    const allowed = model.allow.includes(name);
    if (verdict === 'broken' && !allowed)
      problems.push({ path, message: `${message}. \`allow: [${name}]\` starts it all the same` });
    else if (verdict === 'broken') warnings.push(`allowed by the recipe: ${message}`);
    else if (!allowed) warnings.push(`${message}. \`allow: [${name}]\` silences this`);
  }
  return { problems, warnings };
}

/** Workers share a GPU only where the engine can, and only with workers that want the same. */
function checkSharing(model: ModelRecipe): EngineCheck {
  const problems = model.groups.flatMap((group): RecipeIssue[] => {
    const engine = findEngine(group.engine);
    const path = [...group.path, 'workersPerGpu'];
    if (group.workersPerGpu === 1) return [];
    if (!engine.capabilities.sharesGpu)
      return [{ path, message: `${engine.name} workers cannot share a GPU with others` }];
    const gpus = gpusPerWorker(engine, settingsOf(model, group));
    if (gpus !== 1) return [{ path, message: `only workers with one GPU can share it; these have ${gpus}` }];
    return [];
  });
  return { problems, warnings: [] };
}

/** A worker spans hosts only where its engine can, with as many GPUs on each. */
function checkNodes(model: ModelRecipe): EngineCheck {
  const problems = model.groups.flatMap((group): RecipeIssue[] => {
    if (group.nodes === 1) return [];
    const engine = findEngine(group.engine);
    const path = [...group.path, 'nodes'];
    const { oneHostOnly } = engine.capabilities;
    if (oneHostOnly !== null)
      return [{ path, message: `a worker of ${engine.name} cannot span several hosts: ${oneHostOnly}` }];
    if (group.workersPerGpu > 1)
      return [{ path: [...group.path, 'workersPerGpu'], message: 'a worker that spans several hosts shares no GPU' }];
    const gpus = gpusPerWorker(engine, settingsOf(model, group));
    if (gpus === 0 && engine.capabilities.gpus) return [{ path, message: 'only workers with GPUs span several hosts' }];
    if (gpus % group.nodes !== 0)
      return [{ path, message: `${gpus} GPUs cannot be divided over ${group.nodes} hosts evenly` }];
    return [];
  });
  return { problems, warnings: [] };
}

const blockSizeFlag = (engine: string): string => (engine === 'sglang' ? 'page-size' : 'block-size');

/** Prefill and decode workers of a model must speak the same dialect and cut the KV cache the same way. */
function checkHandOver(model: ModelRecipe, models: KnownModels): EngineCheck {
  const problems: RecipeIssue[] = [];
  const warnings: string[] = [];
  const prefill = model.groups.filter((group) => group.role === 'prefill');
  const decode = model.groups.filter((group) => group.role === 'decode');
  for (const d of decode) {
    for (const p of prefill) {
      if (p.engine !== d.engine) {
        problems.push({
          path: [...d.path, 'engine'],
          message: `decode workers run ${d.engine} but prefill workers run ${p.engine}; KV cache cannot move between them`,
        });
        continue;
      }
      const engine = findEngine(d.engine);
      const [prefillSettings, decodeSettings] = [settingsOf(model, p, models), settingsOf(model, d, models)];
      const sizes = [prefillSettings, decodeSettings].map((settings) => engine.kvBlockSize(settings));
      if (sizes[0] !== sizes[1])
        problems.push({
          path: [...d.path, 'args', blockSizeFlag(d.engine)],
          message: `decode workers use KV blocks of ${sizes[1]} tokens but prefill workers of ${sizes[0]}; set both the same`,
        });
      warnings.push(...shorterDecode(engine, prefillSettings, decodeSettings));
      const found = applyAllow(model, engine.checkPair(prefillSettings, decodeSettings));
      problems.push(...found.problems);
      warnings.push(...found.warnings);
    }
  }
  return { problems, warnings };
}

/** A prompt that only prefill workers take is refused after it was read, and its blocks stay for the lease. */
function shorterDecode(engine: Engine, prefill: WorkerSettings, decode: WorkerSettings): string[] {
  const lengthFor = (worker: WorkerSettings): number =>
    engine.modelUse(worker)?.maxLength?.tokens ?? worker.modelConfig?.maxLength ?? Number.POSITIVE_INFINITY;
  const [longer, shorter] = [lengthFor(prefill), lengthFor(decode)];
  if (shorter >= longer) return [];
  const most = Number.isFinite(longer) ? String(longer) : 'as many as the model does';
  return [
    `decode workers take ${shorter} tokens but prefill workers ${most}: a prompt in between is refused only after it was read; give both the same length`,
  ];
}
