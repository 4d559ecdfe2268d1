import { theOnlyDeployment } from '../deployment/local-view.ts';
import { type KvEventLine, type KvEventTally, kvEventTargets, watchKvEvents } from '../doctor/watch-kv-events.ts';

export interface KvEventFlags {
  for: number;
  json?: boolean;
}

/** `dynamo doctor kv-events`: events as they come, then what they add up to. */
export async function printKvEvents(name: string | undefined, flags: KvEventFlags): Promise<void> {
  const targets = await kvEventTargets(name ?? theOnlyDeployment());
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const timer = setTimeout(end, flags.for * 1_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  const print = (line: KvEventLine): void => {
    process.stdout.write(`${flags.json ? JSON.stringify(line, plain) : describe(line)}\n`);
  };
  if (!flags.json)
    process.stderr.write(
      `For ${flags.for} s, what ${targets.map(({ worker }) => worker).join(', ')} publish; what they still keep of the past comes first.\n`,
    );
  try {
    const tallies = await watchKvEvents(targets, print, ended.signal);
    if (flags.json) process.stdout.write(`${JSON.stringify({ tallies })}\n`);
    else for (const tally of tallies) process.stdout.write(`${summarize(tally)}\n`);
  } finally {
    clearTimeout(timer);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, end);
  }
}

/** Hashes are 64-bit: as text. Tokens as a list. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint32Array ? [...value] : value;
}

function describe(line: KvEventLine): string {
  const who = line.rank === 0 ? line.worker : `${line.worker}/${line.rank}`;
  if ('problem' in line) return `${who}  ${line.problem}`;
  const { event } = line;
  if (event.kind === 'cleared') return `${who}  cleared`;
  const blocks = `${event.hashes.length} block${event.hashes.length === 1 ? '' : 's'}`;
  if (event.kind === 'removed') return `${who}  removed ${blocks} (${event.tier})`;
  const after = event.parent === null ? 'a new prompt' : `after ${event.parent.toString(16).padStart(16, '0')}`;
  return `${who}  stored ${blocks} of ${event.blockSize} tokens (${event.tier}), ${after}`;
}

function summarize({ worker, rank, stored, removed, known, problems }: KvEventTally): string {
  const troubles = problems === 0 ? '' : `, ${problems} problems`;
  return `${worker}${rank === 0 ? '' : `/${rank}`}: ${stored} stored, ${removed} removed, ${known} there now${troubles}`;
}
