import { DynamoError } from '../base/errors.ts';
import type { ProcessSpec } from './launch-plan.ts';

/** Whether a start failed for ports that dynamo chose alone: only those may be chosen anew. Pure. */
export function isLostPort(error: unknown, specs: readonly ProcessSpec[]): boolean {
  if (!(error instanceof DynamoError) || error.code !== 'PORT_IN_USE' || error.ports.length === 0) return false;
  return error.ports.every(({ process, purpose }) => {
    const spec = specs.find(({ name }) => name === process);
    return spec !== undefined && !spec.fixedPorts.includes(purpose);
  });
}
