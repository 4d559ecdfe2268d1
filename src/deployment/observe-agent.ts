import path from 'node:path';
import type { Duplex } from 'node:stream';
import { connectSocket } from '../base/unix-socket.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { findKit } from '../hosts/kit/find-kit.ts';
import {
  type AgentMethods,
  type AgentNotifications,
  type AgentStatus,
  PROTOCOL_VERSION,
} from '../supervise/protocol.ts';
import { type Methods, type Notifications, RpcPeer } from '../supervise/rpc.ts';
import { socketPath, socketPathOf } from '../supervise/socket-path.ts';
import { placesOn } from './places-on.ts';
import type { DeploymentRecord } from './record.ts';
import { agentPaths } from './state-dir.ts';

const OBSERVE_TIMEOUT_MS = 3_000;
/** Logging in to a host that does not answer must not keep `status` for long. */
const REMOTE_TIMEOUT_MS = 15_000;

/** What each agent of a deployment says, all asked at once; no entry for one that does not answer. `dir`: its folder here. */
export async function observeAgents(record: DeploymentRecord, dir: string): Promise<Map<string, AgentStatus>> {
  const agents = new Map<string, AgentStatus>();
  await Promise.all(
    record.plan.hosts.map(async (host) => {
      const elsewhere = record.hosts?.find((entry) => entry.name === host && !entry.local);
      const status = await (elsewhere ? observeElsewhere(elsewhere, record.name) : observeHere(dir, host)).catch(
        () => undefined, // whatever the reason: no agent speaks for that host
      );
      if (status) agents.set(host, status);
    }),
  );
  return agents;
}

async function observeHere(dir: string, host: string): Promise<AgentStatus> {
  return observe(await connectSocket(socketPath(agentPaths(dir, host).dir, 'agent')));
}

async function observeElsewhere(entry: HostEntry, deployment: string): Promise<AgentStatus> {
  const signal = AbortSignal.timeout(REMOTE_TIMEOUT_MS);
  const { SshTransport } = await import('../hosts/ssh/ssh-transport.ts'); // loaded only where it is needed
  await using transport = await SshTransport.connect(entry, { signal });
  const { stateDir, kitDir, uid } = await placesOn(entry, transport, signal);
  // Where forwarding is off, the kit that runs there connects for us.
  transport.bridgeBy([path.posix.join(kitDir, (await findKit()).id, 'dynamo'), 'bridge']);
  const dir = path.posix.join(stateDir, 'deployments', deployment);
  return observe(await transport.connectSocket(socketPathOf(agentPaths(dir, entry.name).dir, 'agent', uid)));
}

async function observe(socket: Duplex): Promise<AgentStatus> {
  const peer: RpcPeer<Methods, AgentMethods, Notifications, AgentNotifications> = new RpcPeer(socket);
  peer.listen();
  try {
    return await peer.request('observe', { protocol: PROTOCOL_VERSION }, { timeoutMs: OBSERVE_TIMEOUT_MS });
  } finally {
    peer.close();
  }
}
