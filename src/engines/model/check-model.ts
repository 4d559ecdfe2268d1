import type { RecipeIssue } from '../../recipe/problem.ts';
import type { WorkerSettings } from '../worker.ts';
import type { ModelFinding } from './find-model.ts';
import type { KnownModel } from './look-up-model.ts';
import type { ModelConfig } from './model-config.ts';
import type { ModelUse } from './model-use.ts';

const TOKENIZER_FILES =
  /^(tokenizer\.(json|model)|tokenizer_config\.json|tekken\.json|vocab\.(json|txt)|spiece\.model|.*\.tiktoken|tiktoken\.model|.*\.spm)$/;
const WEIGHT_FILES = /\.(safetensors|bin|pt|pth|gguf|npz)$/;

/**
 * What is wrong with a worker's settings for that very model. A folder that is not here is a mistake only when the worker runs here.
 */
export function checkModel(
  worker: WorkerSettings,
  use: ModelUse,
  { finding, config, mustBeHere }: KnownModel,
): RecipeIssue[] {
  const model = modelPath(worker);
  if (finding.kind === 'missing')
    return mustBeHere
      ? [
          {
            path: model,
            message: `there is no ${use.shape ?? 'file or folder'} ${finding.path}; a hub id does not begin with a slash`,
          },
        ]
      : [];
  if (finding.kind === 'file' && use.shape === 'folder')
    return [{ path: model, message: `${finding.path} is a file; expected the model's folder` }];
  if (finding.kind === 'found' && use.shape === 'file')
    return finding.cached
      ? []
      : [{ path: model, message: `${finding.folder} is a folder; expected one file (*.gguf)` }];
  // What has no config.json is a folder, too.
  if (finding.kind === 'unusable' && use.shape === 'file')
    return [{ path: model, message: 'it is a folder that holds no model; expected one file (*.gguf)' }];
  if (finding.kind === 'unusable') return [{ path: model, message: finding.problem }];
  if (finding.kind !== 'found') return [];
  if (config === null) return [{ path: model, message: `${finding.folder}/config.json does not describe a model` }];
  return [...checkFiles(model, use, finding), ...checkRanks(worker, use, config), ...checkLength(worker, use, config)];
}

/** `model` stands at the top, or at the model of a list. */
const modelPath = ({ path }: WorkerSettings): RecipeIssue['path'] => [
  ...path.slice(0, path.indexOf('workers')),
  'model',
];

function checkFiles(
  at: RecipeIssue['path'],
  use: ModelUse,
  { folder, files, cached }: ModelFinding & { kind: 'found' },
): RecipeIssue[] {
  // What a cached copy lacks is fetched.
  if (cached) return [];
  const problems: RecipeIssue[] = [];
  if (use.ownTokenizer && !files.some((file) => TOKENIZER_FILES.test(file)))
    problems.push({ path: at, message: `${folder} has no tokenizer (tokenizer.json, tokenizer.model or the like)` });
  if (use.ownWeights && !files.some((file) => WEIGHT_FILES.test(file)))
    problems.push({ path: at, message: `${folder} has no weights (*.safetensors or the like)` });
  return problems;
}

function checkRanks(worker: WorkerSettings, { tensor, pipeline }: ModelUse, config: ModelConfig): RecipeIssue[] {
  const problems: RecipeIssue[] = [];
  const at = (flag: string) => [...worker.path, 'args', flag];
  const { attentionHeads, kvHeads, layers } = config;
  const { ranks, flag } = tensor;
  const own = `the model's ${attentionHeads} attention heads`;
  if (attentionHeads !== null && attentionHeads % ranks !== 0)
    problems.push({
      path: at(flag),
      message: `${ranks} does not divide ${own}; ${suggest(attentionHeads, kvHeads, ranks)}`,
    });
  else if (kvHeads !== null && kvHeads % ranks !== 0 && ranks % kvHeads !== 0)
    problems.push({
      path: at(flag),
      message: `${ranks} neither divides the model's ${kvHeads} KV heads nor is a multiple of them; ${suggest(attentionHeads ?? kvHeads, kvHeads, ranks)}`,
    });
  if (layers !== null && pipeline.ranks > layers)
    problems.push({
      path: at(pipeline.flag),
      message: `the model has ${layers} layers, which is too few for ${pipeline.ranks} pipeline stages`,
    });
  return problems;
}

/** Up to three sizes that would do, those nearest to what was written. */
function suggest(heads: number, kvHeads: number | null, ranks: number): string {
  const fits = (size: number): boolean =>
    heads % size === 0 && (kvHeads === null || kvHeads % size === 0 || size % kvHeads === 0);
  const sizes = Array.from({ length: heads }, (_, index) => index + 1).filter(fits);
  const nearest = sizes.toSorted((a, b) => Math.abs(a - ranks) - Math.abs(b - ranks)).slice(0, 3);
  return `sizes that do: ${nearest.toSorted((a, b) => a - b).join(', ')}`;
}

function checkLength(
  worker: WorkerSettings,
  { maxLength, longerAllowed }: ModelUse,
  config: ModelConfig,
): RecipeIssue[] {
  if (!maxLength || longerAllowed || config.maxLength === null || maxLength.tokens <= config.maxLength) return [];
  return [
    {
      path: [...worker.path, 'args', maxLength.flag],
      message: `the model takes ${config.maxLength} tokens at most, prompt and answer together`,
    },
  ];
}
