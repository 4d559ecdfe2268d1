import path from 'node:path';
import { DynamoError } from '../base/errors.ts';
import { selfCommand } from '../base/package-root.ts';
import { agentPaths } from '../deployment/state-dir.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { hostPlaces } from '../hosts/host-places.ts';
import type { HostTransport } from '../hosts/host-transport.ts';
import { LocalTransport } from '../hosts/local-transport.ts';
import type { SentSecrets } from '../supervise/protocol.ts';
import { socketPath, socketPathOf } from '../supervise/socket-path.ts';
import type { MarkPart } from './step-clock.ts';

/** A host as a deployment uses it: how to reach it, and where on it things are. */
export interface AgentHost {
  transport: HostTransport;
  /** State folder of the deployment on that host. */
  dir: string;
  /** argv prefix that runs this dynamo there. */
  selfCommand: readonly string[];
  /** Socket of the agent. */
  socket: string;
  /** Added to the environment of the agent, and so of all it starts. */
  env: Record<string, string>;
  /** What the agent is told of secrets when it is attached to. */
  secrets(): SentSecrets;
}

/** Opens the way to a host by its name in the plan. Rejects with `HOST_UNREACHABLE` and the reason. */
export type OpenHost = (host: string, signal: AbortSignal, mark?: MarkPart) => Promise<AgentHost>;

/** This machine, under the name the plan gives it. Its agent reads secrets itself, but for those that clients have brought. */
export function localAgentHost(host: string, dir: string, secrets: () => SentSecrets): AgentHost {
  return {
    transport: new LocalTransport(host),
    dir,
    selfCommand: selfCommand(),
    socket: socketPath(agentPaths(dir, host).dir, 'agent'),
    env: {},
    secrets,
  };
}

export interface RemoteHostOptions {
  deployment: string;
  nodeArchive?: string | undefined;
  secrets(): SentSecrets;
  /** `totalBytes` 0: not known yet. */
  onCopy(host: string, what: string, doneBytes: number, totalBytes: number): void;
  /** Nothing is copied there any more. */
  onCopied(host: string): void;
}

/** Logs in to a host and makes sure that this dynamo is there. */
export async function remoteAgentHost(
  entry: HostEntry,
  options: RemoteHostOptions,
  signal: AbortSignal,
  mark: MarkPart = () => {},
): Promise<AgentHost> {
  // SSH is loaded only where a host is not this machine.
  const [{ SshTransport }, { installKit }] = await Promise.all([
    import('../hosts/ssh/ssh-transport.ts'),
    import('../hosts/kit/install-kit.ts'),
  ]);
  const transport = await SshTransport.connect(entry, { signal });
  mark('login');
  try {
    const { selfCommand, probe } = await installKit(transport, {
      ...{ kitDir: entry.kitDir, nodePath: entry.nodePath, nodeArchive: options.nodeArchive },
      onProgress: (what, done, total) => options.onCopy(entry.name, what, done, total),
    }).finally(() => options.onCopied(entry.name));
    mark('kit');
    transport.bridgeBy([...selfCommand, 'bridge']);
    const { stateDir } = hostPlaces(entry, probe.home);
    const dir = path.posix.join(stateDir, 'deployments', options.deployment);
    return {
      transport,
      dir,
      selfCommand,
      socket: socketPathOf(agentPaths(dir, entry.name).dir, 'agent', probe.uid),
      env: { ...plainValues(entry.env), DYNAMO_HOME: stateDir },
      secrets: options.secrets,
    };
  } catch (error) {
    await transport[Symbol.asyncDispose]();
    throw error;
  }
}

/** What of the host's environment may stand in the one of its agent; secrets go to the processes that name them. */
function plainValues(env: HostEntry['env']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** The way to any host of a plan: those that `entries` names as elsewhere over SSH, all others are this machine. */
export function openHosts(
  options: { dir: string } & Omit<RemoteHostOptions, 'secrets'>,
  entryOf: (host: string) => HostEntry | undefined,
  secretsOf: (host: string, local: boolean) => SentSecrets,
): OpenHost {
  return async (host, signal, mark) => {
    const entry = entryOf(host);
    if (!entry || entry.local) return localAgentHost(host, options.dir, () => secretsOf(host, true));
    try {
      return await remoteAgentHost(entry, { ...options, secrets: () => secretsOf(host, false) }, signal, mark);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof DynamoError
        ? error
        : new DynamoError('HOST_UNREACHABLE', `${host}: ${String(error)}`, { cause: error });
    }
  };
}
