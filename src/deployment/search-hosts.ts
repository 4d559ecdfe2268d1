import path from 'node:path';
import { DynamoError, messageOf } from '../base/errors.ts';
import type { HostEntry } from '../hosts/host-entry.ts';
import { openTransport } from '../hosts/open-transport.ts';
import type { DiscoverySpec, ProcessSpec } from '../plan/launch-plan.ts';
import { placesOn } from './places-on.ts';

/** What an agent's journal says of its part of a deployment: what of it a stop needs. */
export interface JournalledPart {
  phase: string;
  generation: number;
  planHash: string;
  startLeaseMs: number;
  discovery?: DiscoverySpec;
  processes: { spec: ProcessSpec }[];
}

/** A host that has, or had, a part in a deployment. */
export interface FoundPart {
  /** As the hosts file has it, under the name by which the deployment's plan knows it. */
  entry: HostEntry;
  journal: JournalledPart;
  /** The highest epoch its agent has seen, and whose. */
  epoch: number;
  owner: string | null;
}

export interface Search {
  /** Hosts with something that was never stopped. */
  parts: FoundPart[];
  /** Hosts that could not be asked. */
  away: { name: string; error: DynamoError }[];
}

const ASK_TIMEOUT_MS = 30_000;

/** Run as `sh -s -- FOLDER`: the files are JSON on one line each. */
const SCRIPT = `
LC_ALL=C; export LC_ALL
for agent in "$1"/agents/*; do
  [ -r "$agent/journal.json" ] || continue
  printf 'agent %s\\n' "\${agent##*/}"
  printf 'journal '; tr -d '\\n' <"$agent/journal.json"; echo
  printf 'epoch '; tr -d '\\n' <"$agent/epoch" 2>/dev/null; echo
done
echo end
`;

/** Looks at all hosts at once for parts of a deployment, by what its agents wrote there. Changes nothing. */
export async function searchHosts(entries: readonly HostEntry[], deployment: string): Promise<Search> {
  const found = await Promise.all(
    entries.map(async (entry) => {
      try {
        return await askHost(entry, deployment);
      } catch (error) {
        const known = error instanceof DynamoError ? error : new DynamoError('HOST_UNREACHABLE', messageOf(error));
        return { name: entry.name, error: known };
      }
    }),
  );
  return {
    parts: found.flatMap((one) => ('error' in one ? [] : one)),
    away: found.flatMap((one) => ('error' in one ? [one] : [])),
  };
}

async function askHost(entry: HostEntry, deployment: string): Promise<FoundPart[]> {
  await using transport = await openTransport(entry);
  const { stateDir } = await placesOn(entry, transport);
  const dir = path.posix.join(stateDir, 'deployments', deployment);
  const { stdout, code } = await transport.exec(['sh', '-s', '--', dir], { stdin: SCRIPT, timeoutMs: ASK_TIMEOUT_MS });
  const lines = stdout.toString('utf8').trim().split('\n');
  if (lines.at(-1) !== 'end')
    throw new DynamoError('HOST_UNREACHABLE', `${entry.name}: looking into ${dir} ended with status ${code}`);
  return readParts(lines, entry);
}

/** What the script printed. An agent's journal that cannot be read, or has nothing in it, is none. */
export function readParts(lines: readonly string[], entry: HostEntry): FoundPart[] {
  const parts: FoundPart[] = [];
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith('agent ')) continue;
    const journal = parse(lines[index + 1]?.slice('journal '.length)) as JournalledPart | undefined;
    if (!journal || journal.phase === 'idle' || !Array.isArray(journal.processes)) continue;
    const epoch = parse(lines[index + 2]?.slice('epoch '.length)) as { epoch?: number; owner?: string } | undefined;
    const name = line.slice('agent '.length);
    parts.push({
      entry: { ...entry, name },
      journal,
      epoch: epoch?.epoch ?? 0,
      owner: epoch?.owner ?? null,
    });
  }
  return parts;
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
