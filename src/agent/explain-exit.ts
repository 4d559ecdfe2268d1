import { DynamoError, ERRORS, type ErrorCode } from '../base/errors.ts';
import { diagnose } from '../engines/engine.ts';
import { findEngine, isEngineName } from '../engines/find-engine.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import { lostPorts } from './lost-ports.ts';

/** Makes the error of a process that ended while starting: how it ended, the known cause if its output shows one, its last lines. */
export function explainExit(
  spec: ProcessSpec,
  how: string,
  lines: readonly string[],
  report: string | null,
): DynamoError {
  const ended = `${spec.name} ended while starting: ${how}`;
  const known = isEngineName(spec.engine) ? diagnose(findEngine(spec.engine), lines) : undefined;
  const code = known?.code ?? ownErrorCode(lines) ?? 'EXITED_EARLY';
  const lost = code === 'PORT_IN_USE' ? lostPorts(spec, known, lines, true) : [];
  const cause =
    lost.length > 0 ? `port ${lost.map(({ port }) => port).join(', ')} was taken in the meantime` : known?.cause;
  return new DynamoError(code, cause ? `${ended}: ${cause}` : ended, {
    details: report ? [...lines, `crash report: ${report}`] : lines,
    ...(known ? { hint: known.fix } : {}),
    ports: lost,
  });
}

/** Dynamo's own processes end with `error: … [CODE]`. */
function ownErrorCode(lines: readonly string[]): ErrorCode | undefined {
  for (const line of lines) {
    const code = /^error: .* \[([A-Z_]+)\]$/.exec(line)?.[1];
    if (code && code in ERRORS) return code as ErrorCode;
  }
  return undefined;
}
