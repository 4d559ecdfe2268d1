import type { DeploymentState, ProcessState } from '../deployment/snapshot.ts';
import type { Tone } from './theme.ts';

const PROCESS: Record<ProcessState, Tone> = {
  pending: 'dim',
  prepared: 'dim',
  starting: 'warn',
  ready: 'good',
  draining: 'warn',
  stopping: 'warn',
  exited: 'dim',
  backoff: 'bad',
  failed: 'bad',
  unknown: 'warn',
};
const DEPLOYMENT: Record<DeploymentState, Tone> = {
  starting: 'warn',
  ready: 'good',
  degraded: 'warn',
  failed: 'bad',
  stopping: 'warn',
  stopped: 'dim',
};

export const processTone = (state: ProcessState): Tone => PROCESS[state];
export const deploymentTone = (state: DeploymentState): Tone => DEPLOYMENT[state];

/** Events that somebody should look into. */
const SERIOUS = new Set([
  'failed',
  'agent-lost',
  'in-doubt',
  'lease-lost',
  'liveness-lost',
  'not-ready',
  'exited',
  'crash',
]);

export function eventTone(type: string, message: string): Tone {
  if (SERIOUS.has(type) || /\bfailed\b/.test(message)) return 'bad';
  return type === 'ready' || type === 'pair' || message.endsWith('→ ready') ? 'good' : 'plain';
}
