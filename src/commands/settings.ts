import nodeModule from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../base/package-root.ts';
import { stateHome } from '../deployment/state-dir.ts';
import { gpuLockFolder } from '../supervise/lock-folder.ts';
import { longSocketFolder } from '../supervise/socket-path.ts';
import { glyphsFor, UNICODE } from '../tui/text/glyphs.ts';

/** One setting as it is in force: what `dynamo env --json` prints. */
export interface Setting {
  name: string;
  /** Null when it is not set and has no default. */
  value: string | null;
  /** The variable that decides, or why it is so. */
  source: string;
  meaning: string;
}

/** Variables that dynamo reads or sets itself; `test/unit/commands` finds those that are missing here. */
const VARIABLES: readonly { name: string; unset: string | null; meaning: string }[] = [
  { name: 'DYNAMO_LOG', unset: 'info', meaning: 'level of the logs of controller, agents and frontends' },
  {
    name: 'DYNAMO_FLAG_CHECK',
    unset: 'on',
    meaning: "`off`: engine flags are not compared with the engine's own help",
  },
  {
    name: 'DYNAMO_GPU_STRANGERS',
    unset: 'refuse',
    meaning: '`allow`: GPUs on which somebody else computes are used all the same',
  },
  { name: 'DYNAMO_CRASH_AT', unset: null, meaning: 'for tests: where controller or agent die during a start' },
  { name: 'DYNAMO_DISCOVERY_PASSWORD', unset: null, meaning: 'set by agents for frontends: the password of etcd' },
  { name: 'DYNAMO_DEPLOYMENT_DIR', unset: null, meaning: 'set by dynamo for the processes of a deployment' },
  { name: 'DYNAMO_RUN_ID', unset: null, meaning: 'set by dynamo for the processes of a deployment' },
  ...['DYNAMO_DEPLOYMENT', 'DYNAMO_URL', 'DYNAMO_MODELS', 'DYNAMO_EVENT', 'DYNAMO_REASON', 'DYNAMO_STATE_DIR'].map(
    (name) => ({ name, unset: null, meaning: 'set by dynamo for hooks' }),
  ),
];
/** Variables behind settings that are folders. */
const FOLDER_VARIABLES = ['DYNAMO_HOME', 'DYNAMO_LOCK_DIR'];

/** Every setting with its value and where that comes from. Reads the environment and nothing else. */
export function listSettings(env: NodeJS.ProcessEnv): Setting[] {
  return [
    ...folders(env),
    ...VARIABLES.map((variable) => fromVariable(variable, env)),
    ...output(env),
    ...unknown(env),
  ];
}

function folders(env: NodeJS.ProcessEnv): Setting[] {
  const locks = gpuLockFolder(env);
  return [
    {
      name: 'state folder',
      value: stateHome(env),
      source: firstSet(env, 'DYNAMO_HOME', 'XDG_STATE_HOME') ?? 'default',
      meaning: 'deployments: records, logs, sockets',
    },
    {
      name: 'lock folder',
      value: locks,
      source: firstSet(env, 'DYNAMO_LOCK_DIR') ?? 'default',
      meaning: 'host-wide GPU reservations, shared by all users',
    },
    {
      name: 'socket folder',
      value: longSocketFolder(),
      source: 'fixed',
      meaning: 'sockets whose path in the state folder would be too long',
    },
    {
      name: 'program',
      value: packageRoot,
      source: 'where dynamo runs from',
      meaning: 'recipes, templates and the runtime',
    },
    {
      name: 'Node',
      value: process.execPath,
      source: `version ${process.versions.node}`,
      meaning: 'the Node that runs dynamo and everything it starts',
    },
    {
      name: 'compile cache',
      value: nodeModule.getCompileCacheDir?.() ?? path.join(os.tmpdir(), 'node-compile-cache'),
      source: firstSet(env, 'NODE_COMPILE_CACHE') ?? 'default',
      meaning: 'may be removed at any time',
    },
  ];
}

function fromVariable(variable: (typeof VARIABLES)[number], env: NodeJS.ProcessEnv): Setting {
  const { name, unset, meaning } = variable;
  const value = env[name];
  const shown = value !== undefined && name.endsWith('PASSWORD') ? '(set)' : value;
  return { name, value: shown ?? unset, source: value === undefined ? 'default' : 'environment', meaning };
}

function output(env: NodeJS.ProcessEnv): Setting[] {
  const noColor = (env['NO_COLOR'] ?? '') !== '';
  const dumb = env['TERM'] === 'dumb';
  return [
    {
      name: 'colour',
      value: noColor || dumb ? 'off' : 'on terminals',
      source: noColor ? 'NO_COLOR' : dumb ? 'TERM' : 'default',
      meaning: 'NO_COLOR with any value switches it off',
    },
    {
      name: 'characters',
      value: glyphsFor(env, process.platform) === UNICODE ? 'UTF-8' : 'ASCII',
      source: firstSet(env, 'LC_ALL', 'LC_CTYPE', 'LANG') ?? 'no locale is set',
      meaning: 'what the locale says the terminal can show',
    },
  ];
}

/** Mistyped, or for the recipes that read them: shown, so that both can be seen. */
function unknown(env: NodeJS.ProcessEnv): Setting[] {
  const known = new Set([...FOLDER_VARIABLES, ...VARIABLES.map(({ name }) => name)]);
  const names = Object.keys(env).filter((name) => name.startsWith('DYNAMO_') && !known.has(name));
  return names.sort().map((name) => ({
    name,
    value: '(set)',
    source: 'environment',
    meaning: 'no setting of dynamo; a recipe may read it',
  }));
}

const firstSet = (env: NodeJS.ProcessEnv, ...names: string[]): string | undefined => names.find((name) => env[name]);
