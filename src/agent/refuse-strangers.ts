import { DynamoError } from '../base/errors.ts';
import type { ProcessSpec } from '../plan/launch-plan.ts';
import type { ProcessIdentity } from '../supervise/identity.ts';
import { describeStranger, findStranger } from '../supervise/port-strangers.ts';

/** Ports on which a worker's frontends and peers must find that worker. Engines themselves pass over others that are taken. */
const ANSWERING = ['http', 'sideChannel', 'bootstrap', 'kvEvents', 'kvReplay'];

/**
 * Throws `PORT_IN_USE` when somebody else than the processes of that run listens on one of its ports: what answers there is not
 * the worker, and the worker can never listen there.
 */
export async function refuseStrangers(
  spec: Pick<ProcessSpec, 'name' | 'url' | 'ports' | 'fixedPorts'>,
  run: ProcessIdentity,
  signal: AbortSignal,
): Promise<void> {
  const ports = Object.entries(spec.ports).filter(([purpose]) => ANSWERING.includes(purpose));
  if (ports.length === 0) return;
  const numbers = ports.map(([, port]) => port);
  const stranger = await findStranger(run, new URL(spec.url).hostname, numbers, signal);
  if (!stranger) return;
  const [purpose] = ports.find(([, port]) => port === stranger.port)!;
  throw new DynamoError(
    'PORT_IN_USE',
    `port ${stranger.port} (${purpose} of ${spec.name}) is held by ${describeStranger(stranger)}, not by ${spec.name}`,
    { ports: [{ process: spec.name, purpose, port: stranger.port }] },
  );
}
