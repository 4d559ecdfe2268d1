import { DynamoError } from '../../base/errors.ts';
import type { HostEntry } from '../host-entry.ts';
import type { HostFacts } from '../host-facts.ts';
import type { HostTransport } from '../host-transport.ts';
import { type BootFacts, parseFacts } from './parse-facts.ts';
import { PROBE_SCRIPT } from './probe-script.ts';
import { readSections } from './sections.ts';

/** Asking for the topology of a large host takes seconds; a driver that hangs is cut short by the script itself. */
const PROBE_TIMEOUT_MS = 150_000;

export interface CollectOptions {
  /** Programs to look for. */
  commands?: readonly string[];
  /** What was found out earlier: the GPU topology is asked for once a boot. */
  known?: BootFacts | undefined;
  signal?: AbortSignal;
}

/** Runs the probe on a host. Throws `HOST_UNREACHABLE` when it cannot be spoken to or the answer is no probe's. */
export async function collectFacts(
  transport: HostTransport,
  entry: HostEntry,
  options: CollectOptions = {},
): Promise<HostFacts> {
  const known = options.known?.bootId && options.known.gpuPaths ? options.known : undefined;
  const sentAt = now();
  const { code, signal, stdout, stderr } = await transport.exec(
    ['sh', '-s', '--', known?.bootId ?? '-', entry.nodePath ?? 'node', ...(options.commands ?? [])],
    {
      stdin: PROBE_SCRIPT,
      env: probeEnvironment(entry),
      timeoutMs: PROBE_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
    },
  );
  const receivedAt = now();
  const output = readSections(stdout.toString('utf8'));
  if (!output.complete)
    throw new DynamoError(
      'HOST_UNREACHABLE',
      `${entry.name} can be reached, but cannot be asked what it has: the probe ended with ${signal ?? `status ${code}`}`,
      {
        details: stderr.trim().split('\n').slice(-5),
        hint: 'Log in and see whether `sh` works there.',
      },
    );
  return parseFacts(output, entry, { sentAt, receivedAt }, known);
}

/** Literal values only: the probe has no need of secrets. `PATH` decides which engines are found. */
function probeEnvironment(entry: HostEntry): Record<string, string> {
  const literal = Object.entries(entry.env).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  return Object.fromEntries(literal);
}

/** The wall clock with fractions: this is compared with that of another machine. */
const now = (): number => performance.timeOrigin + performance.now();
