import { formatDuration } from '../base/duration.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';
import { renderTable } from './table.ts';

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

function notes(snapshot: DeploymentSnapshot): string[] {
  const lines: string[] = [];
  const proven = snapshot.pairs.filter((pair) => pair.state === 'proven').length;
  if (snapshot.pairs.length > 0)
    lines.push(`KV transfer: ${proven} of ${snapshot.pairs.length} prefill × decode pairs proven`);
  for (const pair of snapshot.pairs)
    if (pair.state === 'failed') lines.push(`  ${pair.prefill} → ${pair.decode} failed: ${pair.detail}`);
  for (const process of snapshot.processes) {
    if (process.waitingFor) lines.push(`${process.name} waits for ${process.waitingFor}`);
    if (process.lastExit && process.state !== 'exited') {
      lines.push(`${process.name} ended at ${process.lastExit.at}: ${process.lastExit.reason}`);
      for (const line of process.lastExit.lastLines.slice(-3)) lines.push(`    ${line}`);
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
