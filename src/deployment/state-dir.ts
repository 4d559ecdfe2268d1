import { accessSync, constants, existsSync, mkdirSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { explainWriteError } from '../base/atomic-file.ts';
import { DynamoError, systemCode } from '../base/errors.ts';

/**
 * Where dynamo keeps what it knows of deployments: `DYNAMO_HOME`, else `$XDG_STATE_HOME/dynamo`, else `~/.local/state/dynamo`.
 * One folder a deployment, all of it removable once the deployment is stopped.
 */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env['DYNAMO_HOME']) return path.resolve(env['DYNAMO_HOME']);
  if (env['XDG_STATE_HOME']) return path.join(env['XDG_STATE_HOME'], 'dynamo');
  return path.join(os.homedir(), '.local', 'state', 'dynamo');
}

/** Checks a deployment's name: it becomes a folder, a socket name and a metric label. */
export function checkDeploymentName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(name)) return name;
  throw new DynamoError('USAGE', `"${name}" cannot name a deployment`, {
    hint: 'Use up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit.',
  });
}

export function deploymentDir(name: string, env: NodeJS.ProcessEnv = process.env): string {
  return path.join(stateHome(env), 'deployments', checkDeploymentName(name));
}

/** Files and folders of one deployment. */
export interface DeploymentPaths {
  dir: string;
  /** What it is and how far it got; written by the controller. */
  record: string;
  /** Highest epoch a controller has taken. */
  epoch: string;
  /** Held by the controller while it lives. */
  controllerLock: string;
  controllerLog: string;
  /** One JSON object a line: every transition with its reason. */
  events: string;
  discovery: string;
  /** Reports of processes that ended unasked; they stay when the deployment is stopped. */
  crashReports: string;
}

export function deploymentPaths(dir: string): DeploymentPaths {
  return {
    dir,
    record: path.join(dir, 'deployment.json'),
    epoch: path.join(dir, 'epoch'),
    controllerLock: path.join(dir, 'controller.lock'),
    controllerLog: path.join(dir, 'logs', 'controller.log'),
    events: path.join(dir, 'events.jsonl'),
    discovery: path.join(dir, 'discovery'),
    crashReports: path.join(dir, 'crash-reports'),
  };
}

/** Files and folders of the agent of one host within a deployment. */
export interface AgentPaths {
  dir: string;
  journal: string;
  epoch: string;
  lock: string;
  /** One folder a process and incarnation: identity, exit status. */
  runs: string;
  /** One log file a process. */
  logs: string;
  log: string;
}

export function agentPaths(dir: string, host: string): AgentPaths {
  const own = path.join(dir, 'agents', host);
  return {
    dir: own,
    journal: path.join(own, 'journal.json'),
    epoch: path.join(own, 'epoch'),
    lock: path.join(own, 'agent.lock'),
    runs: path.join(own, 'runs'),
    logs: path.join(dir, 'logs'),
    log: path.join(dir, 'logs', `agent-${host}.log`),
  };
}

export function processLog(paths: AgentPaths, processName: string): string {
  return path.join(paths.logs, `${processName}.log`);
}

/** Makes a folder that only its owner can enter. Throws `STATE_UNREADABLE` or `DISK_FULL` with the path. */
export function makePrivateDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = systemCode(error);
    // On a read-only disk Node reports ENOENT for nested folders.
    if (code === 'ENOENT') refuseReadOnly(dir);
    if (code === 'ENOTDIR' || code === 'EEXIST' || code === 'ENOENT')
      throw new DynamoError('STATE_UNREADABLE', `cannot make the folder ${dir}: ${code}`, { cause: error });
    throw explainWriteError(error, dir);
  }
}

/** Throws when the nearest folder above that exists cannot be written. */
function refuseReadOnly(dir: string): void {
  let above = path.dirname(dir);
  while (!existsSync(above) && above !== path.dirname(above)) above = path.dirname(above);
  try {
    accessSync(above, constants.W_OK);
  } catch (error) {
    throw explainWriteError(error, dir);
  }
}

/** Names of all deployments this user has state of, running or not. */
export function listDeploymentNames(env: NodeJS.ProcessEnv = process.env): string[] {
  try {
    return readdirSync(path.join(stateHome(env), 'deployments')).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw new DynamoError('STATE_UNREADABLE', `cannot read ${stateHome(env)}: ${systemCode(error)}`, { cause: error });
  }
}
