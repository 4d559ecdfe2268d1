import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type {
  DeploymentSnapshot,
  ExitSnapshot,
  PhaseSnapshot,
  ProcessSnapshot,
  StepSnapshot,
} from '../deployment/snapshot.ts';
import { describeStartPath } from '../deployment/start-path.ts';
import { describeSuspicion } from '../deployment/suspicion.ts';
import type { GpuUse } from '../hosts/gpu-use.ts';
import { renderTable } from './table.ts';

/** A start that was over sooner needs no explanation. */
const WORTH_TELLING_MS = 3_000;

/** The text of `dynamo status`, at most 80 columns wide unless a reason is longer. Pure. */
export function renderStatus(snapshot: DeploymentSnapshot): string {
  const lines = [
    `${snapshot.name}: ${snapshot.state}${snapshot.unattended ? ' (unattended)' : ''}`,
    `  model     ${snapshot.models.join(', ')}`,
    `  endpoint  ${snapshot.endpoint}/v1`,
    `  recipe    ${snapshot.recipe}`,
    `  started   ${snapshot.startedAt} (generation ${snapshot.generation}, epoch ${snapshot.epoch})`,
    '',
    ...renderTable(['PROCESS', 'STATE', 'PID', 'PORT', 'RESTARTS', 'FOR'], snapshot.processes.map(row)),
    ...gpuTable(snapshot),
    ...linkNotes(snapshot),
    ...notes(snapshot),
  ];
  return `${lines.join('\n')}\n`;
}

function row(process: ProcessSnapshot): string[] {
  return [
    process.name,
    process.state,
    process.pid === null ? '-' : String(process.pid),
    String(process.ports['http'] ?? '-'),
    String(process.restarts),
    formatDuration(process.inStateMs),
  ];
}

/** Who uses GPUs how much; nothing where there are none. */
function gpuTable({ hosts = [] }: DeploymentSnapshot): string[] {
  const rows = hosts.flatMap(({ name, gpus }) =>
    gpus.map((gpu) => [
      name,
      String(gpu.index),
      gpu.name.replace(/^NVIDIA /, ''),
      gpu.utilisation === null ? '-' : `${Math.round(gpu.utilisation)} %`,
      memoryOf(gpu),
      gpu.powerW === null ? '-' : `${Math.round(gpu.powerW)} W`,
      gpu.temperatureC === null ? '-' : `${Math.round(gpu.temperatureC)} °C`,
    ]),
  );
  return rows.length === 0 ? [] : ['', ...renderTable(['HOST', 'GPU', 'NAME', 'USE', 'MEMORY', 'POWER', 'TEMP'], rows)];
}

function memoryOf({ memoryUsedBytes: used, memoryBytes: all }: GpuUse): string {
  return used === null || all === null ? '-' : `${formatBytes(used)} of ${formatBytes(all)}`;
}

/** RDMA links that are not up: KV transfer would go slower ways. */
function linkNotes({ hosts = [] }: DeploymentSnapshot): string[] {
  const lines = hosts.flatMap(({ name, links }) => {
    const rdma = links.filter((link) => link.kind === 'rdma');
    const down = rdma.filter((link) => !link.up).map((link) => `${link.name} (${link.state})`);
    return down.length === 0
      ? []
      : [`${name}: ${down.length} of ${rdma.length} RDMA links are not up: ${down.join(', ')}`];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

function notes(snapshot: DeploymentSnapshot): string[] {
  const lines: string[] = [];
  const proven = snapshot.pairs.filter((pair) => pair.state === 'proven').length;
  if (snapshot.pairs.length > 0)
    lines.push(`KV transfer: ${proven} of ${snapshot.pairs.length} prefill × decode pairs proven`);
  for (const pair of snapshot.pairs)
    if (pair.state === 'failed') lines.push(`  ${pair.prefill} → ${pair.decode} failed: ${pair.detail}`);
  const path = describeLongStart(snapshot.startSteps ?? []);
  if (path) lines.push(`The start took ${path}`);
  lines.push(...(snapshot.suspicions ?? []).map(describeSuspicion));
  for (const process of snapshot.processes) {
    if (process.waitingFor) lines.push(`${process.name} waits for ${process.waitingFor}`);
    const phases = describePhases(process.startPhases);
    if (phases) lines.push(`${process.name} ${process.state === 'ready' ? 'took' : 'takes'} ${phases}`);
    if (process.lastExit && process.state !== 'exited') {
      lines.push(`${process.name} ended at ${process.lastExit.at}: ${process.lastExit.reason}`);
      lines.push(...crashNotes(process.lastExit));
    }
  }
  if (snapshot.unattended) {
    lines.push(
      `No controller runs: serving goes on. Adopt it with the command that started it, same --set and --name: dynamo serve ${snapshot.recipe}`,
    );
  }
  for (const agent of snapshot.agents) {
    if (agent.state === 'in-doubt')
      lines.push(`The agent of ${agent.host} cannot read the commit record and keeps everything as it is.`);
    if (agent.storeProblem)
      lines.push(
        `The discovery store is away for ${agent.host}: ${agent.storeProblem}. Serving goes on, nothing new is registered.`,
      );
    if (agent.state === 'stopped') lines.push(`${agent.host} is stopped; nothing is left there.`);
    if (agent.state === 'lost' && snapshot.state !== 'stopped' && snapshot.state !== 'failed')
      lines.push(`No agent answers on ${agent.host}: what runs there goes on, nothing is restarted.`);
  }
  if (snapshot.error)
    lines.push(
      `error: ${snapshot.error.message} [${snapshot.error.code}]`,
      ...snapshot.error.details.map((line) => `  ${line}`),
      `hint: ${snapshot.error.hint}`,
    );
  return lines.length > 0 ? ['', ...lines] : [];
}

/** The cause with its next step and the report; the last lines where nothing better is known. */
function crashNotes(exit: ExitSnapshot): string[] {
  const lines = exit.lastLines.slice(-3).map((line) => `    ${line}`);
  const report = exit.report ? [`    report: ${exit.report}`] : [];
  if (exit.cause === null || exit.fix === null) return [...lines, ...report];
  return [`    cause: ${exit.cause}`, `    do: ${exit.fix}`, ...report];
}

/** Where the time of a start went, step by step; undefined for one that was over soon. */
export function describeLongStart(steps: readonly StepSnapshot[]): string | undefined {
  return steps.reduce((sum, { ms }) => sum + ms, 0) < WORTH_TELLING_MS ? undefined : describeStartPath(steps);
}

/** `95 s to start: start 12 s, weights 30 s, prove 1 s`; undefined where only one phase is known, or all were short. */
export function describePhases(phases: readonly PhaseSnapshot[]): string | undefined {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0);
  if (total < WORTH_TELLING_MS || phases.filter(({ phase }) => phase !== 'prove').length < 2) return undefined;
  // Pairs may be proven by the other side: then nothing of it was waited for here.
  const each = phases.flatMap(({ phase, ms }) => (ms > 0 ? [`${phase} ${formatDuration(ms)}`] : []));
  return `${formatDuration(total)} to start: ${each.join(', ')}`;
}
