import { formatDuration } from '../base/duration.ts';
import type { DeploymentSnapshot, ProcessSnapshot } from '../deployment/snapshot.ts';

/** Turns successive snapshots into the lines that tell them apart. Pure but for what it remembers of the last one. */
export class SnapshotLines {
  readonly #said = new Map<string, string>();

  /** Lines for whatever is new; `sinceMs` is the time since the start was asked for. */
  next(snapshot: DeploymentSnapshot, sinceMs: number): string[] {
    const width = Math.max(...snapshot.processes.map((process) => process.name.length), 8);
    const lines: string[] = [];
    for (const process of snapshot.processes) {
      const text = describe(process);
      if (text === undefined || this.#said.get(process.name) === text) continue;
      this.#said.set(process.name, text);
      lines.push(`${elapsed(sinceMs)}  ${process.name.padEnd(width)}  ${text}`);
    }
    for (const pair of snapshot.pairs) {
      const key = `${pair.prefill} → ${pair.decode}`;
      if (pair.state === 'unproven' || this.#said.get(key) === pair.state) continue;
      this.#said.set(key, pair.state);
      lines.push(
        `${elapsed(sinceMs)}  ${key}  ${pair.state === 'proven' ? `KV transfer proven in ${pair.detail}` : `KV transfer FAILED: ${pair.detail}`}`,
      );
    }
    return lines;
  }
}

function describe(process: ProcessSnapshot): string | undefined {
  switch (process.state) {
    case 'pending':
      return undefined;
    case 'ready':
      return `ready      pid ${process.pid}, ${process.url}`;
    case 'exited':
    case 'failed':
      return `${process.state.padEnd(9)}  ${process.lastExit?.reason ?? ''}`.trimEnd();
    default:
      return `${process.state.padEnd(9)}  ${process.waitingFor ? `waiting for ${process.waitingFor}` : ''}`.trimEnd();
  }
}

const elapsed = (ms: number) => formatDuration(ms).padStart(9);

/** What to do next, once it serves. */
export function readyLines(snapshot: DeploymentSnapshot, tookMs: number | null): string[] {
  const model = snapshot.models[0] ?? 'model';
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 32, stream: true });
  return [
    '',
    tookMs === null
      ? `${snapshot.name} is ${snapshot.state}: ${snapshot.endpoint}/v1`
      : `${snapshot.name} is ready in ${formatDuration(tookMs)}: ${snapshot.endpoint}/v1`,
    '',
    'Try it:',
    `  curl -N ${snapshot.endpoint}/v1/chat/completions -H 'content-type: application/json' \\`,
    `    -d '${body.replaceAll("'", "'\\''")}'`,
    '',
  ];
}
