import type { RecipeIssue } from '../../recipe/problem.ts';
import { UNNAMED_TOKENS } from '../chat-tokens.ts';
import type { Engine, EngineFindings } from '../engine.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { refuseSettings } from '../refuse-settings.ts';
import type { WorkerSettings } from '../worker.ts';

/**
 * Any OpenAI-compatible server that somebody else runs. It is looked at and published like a worker and gets requests from the
 * frontend; nothing is started, nothing is signalled.
 */
export const openaiEngine: Engine = {
  name: 'openai',
  command: null,
  capabilities: {
    disaggregation: false,
    gpus: false,
    external: true,
    sharesGpu: false,
    oneHostOnly: 'somebody else runs it',
    survivesPeerRestart: true,
    splitsSeveralAnswers: false,
  },
  defaults: {
    startTimeoutMs: 60_000,
    // Not every server has a health page, but each lists its models.
    liveness: { check: { kind: 'http', path: '/v1/models' }, periodMs: 5_000, timeoutMs: 5_000, failures: 3 },
    drain: { inFlightMs: 30_000, killAfterMs: 0 },
  },
  stopping: 'stopping the deployment lets go of it; the server goes on',
  check,
  checkPair: () => ({ problems: [], warnings: [] }),
  modelUse: () => null,
  combinations: [],
  defaultGpus: () => 0,
  ports: () => [],
  launch: () => ({ argv: [], env: {}, reasons: [] }),
  // No token is asked for: somebody may be paying for it.
  readiness: (worker) => [
    { kind: 'http', path: '/v1/models' },
    { kind: 'model-listed', model: worker.servedModelName },
  ],
  kvTransfer: () => null,
  kvBlockSize: () => null,
  failures: [],
  phases: [],
  metrics: { ...NO_METRICS, path: '/metrics' },
  chatTokens: UNNAMED_TOKENS,
  help: () => null,
};

const NOT_OURS = 'dynamo does not start this server';

function check(worker: WorkerSettings): EngineFindings {
  const at = (key: string, message: string): RecipeIssue => ({ path: [...worker.path, key], message });
  const problems = [
    ...checkUrl(worker),
    ...refuseSettings(worker, { kvEvents: NOT_OURS, kvOffload: NOT_OURS, load: NOT_OURS }),
  ];
  if (worker.replicas > 1) problems.push(at('replicas', 'one URL is one worker; list a group for each server'));
  if (worker.port !== undefined) problems.push(at('port', `${NOT_OURS}; its port stands in \`url\``));
  if (worker.command !== null) problems.push(at('command', NOT_OURS));
  for (const key of ['args', 'env'] as const) if (Object.keys(worker[key]).length > 0) problems.push(at(key, NOT_OURS));
  return { problems, warnings: [] };
}

function checkUrl({ url, path }: WorkerSettings): RecipeIssue[] {
  if (url === null) return [{ path, message: '`engine: openai` needs `url`, the address of the server', atKey: true }];
  const parsed = URL.parse(url);
  const wrong = (message: string): RecipeIssue[] => [{ path: [...path, 'url'], message }];
  if (parsed === null) return wrong('expected an address such as http://10.0.0.5:8000');
  if (parsed.protocol !== 'http:') return wrong('frontends speak plain HTTP to workers; use http://');
  if (parsed.username !== '' || parsed.password !== '')
    return wrong('credentials do not belong into a recipe, and the frontend has none to send to its workers');
  // As it was written: `http://host:80` must not become `http://host`.
  if (!/^http:\/\/[^/?#]+$/i.test(url)) return wrong('expected no path: the API is taken to be at /v1');
  return [];
}
