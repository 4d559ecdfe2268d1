import { formatBytes } from '../../base/bytes.ts';
import { formatDuration } from '../../base/duration.ts';
import { diagnose } from '../../engines/engine.ts';
import { findEngine, isEngineName } from '../../engines/find-engine.ts';
import type { GpuFacts } from '../../hosts/host-facts.ts';
import type { ProcessSpec } from '../../plan/launch-plan.ts';
import type { CrashVerdict } from './crash-verdict.ts';
import { explainKernelLines } from './kernel-lines.ts';

/** What the agent knew at the moment a process ended unasked. */
export interface CrashFacts {
  spec: ProcessSpec;
  incarnation: number;
  /** ISO 8601. */
  at: string;
  pid: number | null;
  code: number | null;
  signal: string | null;
  /** `killed by SIGKILL`, and why dynamo did it when it did. */
  how: string;
  /** Why dynamo itself ended it; null when it did not. */
  killedBecause: string | null;
  /** Null: it never was. */
  readyForMs: number | null;
  /** What it was waiting for or doing while it was not ready. */
  wasDoing: string | null;
  lastLines: readonly string[];
  logFile: string;
  peers: readonly PeerState[];
  /** Its GPUs a moment after; null when nobody could tell. */
  gpus: readonly GpuFacts[] | null;
  /** Lines of the kernel's log of the last minute that tell of a GPU or of memory. */
  kernelLines: readonly string[];
}

/** A worker it exchanges KV cache with. */
export interface PeerState {
  name: string;
  state: string;
  /** `proven`, `failed: …`. */
  pair: string;
  /** How it ended last, when that was in the last minute. */
  ended: string | null;
}

/**
 * Joins what is known into one cause, the surest first: what the process itself said, what the kernel said, what dynamo did,
 * what happened to its peers, and how it ended. Pure.
 */
export function judgeCrash(facts: CrashFacts): CrashVerdict {
  const { spec, lastLines } = facts;
  const known = isEngineName(spec.engine) ? diagnose(findEngine(spec.engine), lastLines) : undefined;
  if (known) return { cause: known.cause, fix: known.fix };
  const kernel = explainKernelLines(facts.kernelLines, facts.pid);
  if (kernel) return kernel;
  if (facts.killedBecause) {
    return {
      cause: `dynamo ended it: ${facts.killedBecause}`,
      fix: 'Its last lines say what it was busy with. A worker that is only slow wants a longer `liveness` or `startTimeout`.',
    };
  }
  const peer = facts.peers.find(({ ended }) => ended !== null);
  if (peer) return { cause: `its peer ${peer.name} had ended (${peer.ended})`, fix: `Look at ${peer.name} first.` };
  if (facts.signal === 'SIGKILL') {
    return {
      cause: 'something outside dynamo killed it; nearly always that is the kernel, out of memory',
      fix: "Look for `Out of memory` in the kernel's log (`dmesg -T`), and give it less: --gpu-memory-utilization does not count host memory, offloading and pinned buffers do.",
    };
  }
  if (facts.signal) return { cause: `it ended by ${facts.signal}`, fix: 'Its last lines may say why.' };
  return { cause: facts.how, fix: null };
}

/** The report as text, for the person who is called at night. */
export function renderCrashReport(facts: CrashFacts): string {
  const { spec } = facts;
  const { cause, fix } = judgeCrash(facts);
  const rows: [string, string][] = [
    ['at', facts.at],
    ['cause', cause],
    ...(fix ? [['next step', fix] satisfies [string, string]] : []),
    ['ended', facts.how],
    ['was', describeLife(facts)],
    ['engine', [spec.engine ?? 'dynamo', spec.model, spec.role].filter((word) => word !== null).join(', ')],
    ['incarnation', `${facts.incarnation}${facts.pid === null ? '' : `, pid ${facts.pid}`}`],
    ...spec.gpus.map((index) => [`GPU ${index}`, describeGpu(index, facts.gpus)] satisfies [string, string]),
    ...facts.peers.map(
      ({ name, state, pair, ended }) =>
        ['peer', `${name}: ${state}, pair ${pair}${ended ? `, ended: ${ended}` : ''}`] satisfies [string, string],
    ),
    ['log', facts.logFile],
    ['command', spec.argv.join(' ')],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [
    `${spec.name} on ${spec.host} ended unasked`,
    ...rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`),
    ...(facts.kernelLines.length > 0 ? ['', 'The kernel said:', ...facts.kernelLines.map((line) => `  ${line}`)] : []),
    '',
    facts.lastLines.length > 0 ? 'Its last lines:' : 'It printed nothing.',
    ...facts.lastLines.map((line) => `  ${line}`),
    '',
  ].join('\n');
}

function describeLife({ readyForMs, wasDoing }: CrashFacts): string {
  if (readyForMs !== null) return `ready for ${formatDuration(readyForMs)}`;
  return wasDoing ? `starting: ${wasDoing}` : 'starting';
}

function describeGpu(index: number, gpus: readonly GpuFacts[] | null): string {
  if (gpus === null) return 'unknown: nvidia-smi did not answer';
  const gpu = gpus.find((entry) => entry.index === index);
  if (!gpu) return 'GONE: nvidia-smi no longer lists it';
  const used = gpu.memoryUsedBytes === null ? 'unknown' : formatBytes(gpu.memoryUsedBytes);
  return `${gpu.name}, ${used} of ${formatBytes(gpu.memoryBytes)} in use after it ended`;
}
