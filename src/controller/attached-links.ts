import { DynamoError } from '../base/errors.ts';
import { until } from '../base/until.ts';
import type { AgentLink } from './agent-link.ts';
import type { AgentLinks } from './agent-links.ts';

/** Patience with an agent that is being replaced, and with a link that is being mended. */
const AGENT_BACK_MS = 30_000;

/**
 * The lines to those hosts, all attached; one whose agent is being replaced is waited for. A host without a line has none here. Throws
 * `HOST_UNREACHABLE` with the hosts that stay away.
 */
export async function attachedLinks(
  { links, signal }: { links: AgentLinks; signal: AbortSignal },
  hosts: ReadonlySet<string>,
  patienceMs = AGENT_BACK_MS,
): Promise<AgentLink[]> {
  const wanted = () => links.all.filter((link) => hosts.has(link.host));
  const there = await until(() => (wanted().every((link) => link.status) ? true : undefined), {
    deadlineMs: patienceMs,
    maxIntervalMs: 100,
    signal,
  });
  if (there) return wanted();
  const away = wanted().filter((link) => !link.status);
  throw new DynamoError('HOST_UNREACHABLE', `no agent answers on ${away.map((link) => link.host).join(', ')}`, {
    hint: '`dynamo hosts check` shows whether it can be reached; `dynamo events` what was tried.',
  });
}
