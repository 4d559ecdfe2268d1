import { DynamoError } from '../base/errors.ts';
import { type ControllerPeer, connectController } from '../deployment/controller-client.ts';
import { readDeployment, theOnlyDeployment } from '../deployment/local-view.ts';
import { deploymentDir } from '../deployment/state-dir.ts';

/** Event types that tell of single processes step by step: for `dynamo events`, not for somebody who waits. */
const QUIET = new Set(['state', 'published', 'pair', 'agent']);

/** Runs an action with the line to a deployment's controller. Throws `NO_DEPLOYMENT` when none attends it. */
export async function withController<T>(
  name: string | undefined,
  options: { onEvent?: (message: string, type: string) => void },
  action: (peer: ControllerPeer, deployment: string) => Promise<T>,
): Promise<T> {
  const deployment = name ?? theOnlyDeployment();
  const record = readDeployment(deployment);
  const client = await connectController(deploymentDir(deployment), {
    prepare: (peer) =>
      peer.on('event', ({ type, process, message }) => {
        if (!QUIET.has(type)) options.onEvent?.(process ? `${process}: ${message}` : message, type);
      }),
  });
  if (!client) {
    throw new DynamoError('NO_DEPLOYMENT', `${deployment} runs without a controller`, {
      hint: `Adopt it first: dynamo serve ${record.recipeFile} --detach`,
    });
  }
  try {
    return await action(client.peer, deployment);
  } finally {
    client.peer.close();
  }
}
