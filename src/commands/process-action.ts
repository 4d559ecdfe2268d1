import { DynamoError } from '../base/errors.ts';
import { withController } from './with-controller.ts';

interface ActionFlags {
  deployment?: string;
  json?: boolean;
}

/** Asks the controller to drain or restart processes, one after the other. Throws `NO_DEPLOYMENT` when none attends it. */
export async function runProcessAction(
  action: 'drain' | 'restart',
  processes: readonly string[],
  flags: ActionFlags,
): Promise<void> {
  if (processes.length === 0)
    throw new DynamoError('USAGE', 'no process is named', { hint: 'Name one, or add --rolling for all of them.' });
  // A port that is written down may stay taken for long: whoever waits should know.
  const onEvent = (message: string, type: string): void => {
    if (type === 'port-taken') process.stderr.write(`${message}\n`);
  };
  await withController(flags.deployment, { onEvent }, async (peer, deployment) => {
    for (const name of processes) {
      await peer.request(action, { name });
      if (!flags.json)
        process.stdout.write(
          action === 'drain' ? `${name} is out of service\n` : `${name} was drained, started anew and is ready\n`,
        );
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ deployment, action, processes })}\n`);
  });
}

/** Restarts one process after the other and says which is being restarted. */
export async function runRollingRestart(targets: readonly string[], flags: ActionFlags): Promise<void> {
  const onEvent = (message: string) => process.stderr.write(`${message}\n`);
  await withController(flags.deployment, flags.json ? {} : { onEvent }, async (peer, deployment) => {
    const { restarted } = await peer.request('rolling', { targets: [...targets] });
    if (flags.json)
      process.stdout.write(`${JSON.stringify({ deployment, action: 'restart', processes: restarted })}\n`);
    else process.stdout.write(`${restarted.join(', ')}: started anew and ready\n`);
  });
}
