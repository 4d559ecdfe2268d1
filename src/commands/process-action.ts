import { DynamoError } from '../base/errors.ts';
import { connectController } from '../deployment/controller-client.ts';
import { readDeployment, theOnlyDeployment } from '../deployment/local-view.ts';
import { deploymentDir } from '../deployment/state-dir.ts';

/** Asks the controller to drain or restart processes, one after the other. Throws `NO_DEPLOYMENT` when none attends it. */
export async function runProcessAction(
  action: 'drain' | 'restart',
  processes: readonly string[],
  flags: { deployment?: string; json?: boolean },
): Promise<void> {
  const deployment = flags.deployment ?? theOnlyDeployment();
  const record = readDeployment(deployment);
  const client = await connectController(deploymentDir(deployment));
  if (!client) {
    throw new DynamoError('NO_DEPLOYMENT', `${deployment} runs without a controller`, {
      hint: `Adopt it first: dynamo serve ${record.recipeFile} --detach`,
    });
  }
  try {
    for (const name of processes) {
      await client.peer.request(action, { name });
      if (!flags.json)
        process.stdout.write(
          action === 'drain' ? `${name} is out of service\n` : `${name} was drained, started anew and is ready\n`,
        );
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ deployment, action, processes })}\n`);
  } finally {
    client.peer.close();
  }
}
