import { DynamoError } from '../base/errors.ts';
import type { ProcessSpec } from './launch-plan.ts';

/**
 * Whether a start failed for ports that dynamo chose alone: only those may be chosen anew. Pure. The error names the ports that were
 * lost: `port 8101 (http of decode-1) is …`, `port 8101, 8102 was taken …`.
 */
export function isLostPort(error: unknown, specs: readonly ProcessSpec[]): boolean {
  if (!(error instanceof DynamoError) || error.code !== 'PORT_IN_USE') return false;
  const told = [error.message, ...error.details.filter((line) => line.startsWith('port '))];
  const lost = told.flatMap((line) =>
    [...line.matchAll(/\bport (\d+(?:, \d+)*)/g)].flatMap(([, ports]) => ports!.split(', ').map(Number)),
  );
  return !specs.some((spec) => spec.fixedPorts.some((purpose) => lost.includes(spec.ports[purpose]!)));
}
