import { parseScaleTarget } from '../plan/scale-targets.ts';
import { withController } from './with-controller.ts';

/** Asks the controller for other numbers of workers, says what happens while it does, and returns when all of it is done. */
export async function runScale(
  targets: readonly string[],
  flags: { deployment?: string; json?: boolean },
): Promise<void> {
  for (const target of targets) parseScaleTarget(target);
  const onEvent = (message: string) => process.stderr.write(`${message}\n`);
  await withController(flags.deployment, { onEvent: flags.json ? () => {} : onEvent }, async (peer, deployment) => {
    const { steps } = await peer.request('scale', { targets: [...targets] });
    if (flags.json) process.stdout.write(`${JSON.stringify({ deployment, steps })}\n`);
    else if (steps.length === 0) process.stdout.write(`${deployment} has these numbers of workers already\n`);
    else for (const { group, from, to } of steps) process.stdout.write(`${group}: ${from} → ${to} workers\n`);
  });
}
