import { selfCommand } from '../base/package-root.ts';
import { agentPaths } from '../deployment/state-dir.ts';
import type { HostTransport } from '../hosts/host-transport.ts';
import { LocalTransport } from '../hosts/local-transport.ts';
import { socketPath } from '../supervise/socket-path.ts';

/** A host as a deployment uses it: how to reach it, and where on it things are. */
export interface AgentHost {
  transport: HostTransport;
  /** State folder of the deployment on that host. */
  dir: string;
  /** argv prefix that runs this dynamo there. */
  selfCommand: readonly string[];
  /** Socket of the agent. */
  socket: string;
}

/** Opens the way to a host by its name in the plan. Rejects with `HOST_UNREACHABLE` and the reason. */
export type OpenHost = (host: string, signal: AbortSignal) => Promise<AgentHost>;

/** This machine, under the name the plan gives it. */
export function localAgentHost(host: string, dir: string): AgentHost {
  return {
    transport: new LocalTransport(host),
    dir,
    selfCommand: selfCommand(),
    socket: socketPath(agentPaths(dir, host).dir, 'agent'),
  };
}
