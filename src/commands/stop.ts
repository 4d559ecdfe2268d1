import { existsSync } from 'node:fs';
import { DynamoError } from '../base/errors.ts';
import type { CommandEntry } from './command.ts';

/** A record that cannot be read does not keep a controller that runs from stopping its deployment. */
function isUp(dir: string, readPhase: () => string): boolean {
  try {
    return !['stopped', 'failed'].includes(readPhase());
  } catch (error) {
    if (error instanceof DynamoError && error.code === 'STATE_UNREADABLE' && existsSync(dir)) return true;
    throw error;
  }
}

export const stopCommand: CommandEntry = {
  name: 'stop',
  summary: 'Stop a deployment: frontends drain, workers end, nothing is left',
  example: ['dynamo stop', 'dynamo stop quickstart --force'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('-f, --force', 'do not wait for requests in flight')
      .option('--json', 'print the result as JSON')
      .action(async (name: string | undefined, flags: { force?: boolean; json?: boolean }) => {
        const [{ stopDeployment }, { readDeployment, theOnlyDeployment }, { deploymentDir }] = await Promise.all([
          import('../deployment/start-deployment.ts'),
          import('../deployment/local-view.ts'),
          import('../deployment/state-dir.ts'),
        ]);
        const deployment = name ?? theOnlyDeployment();
        const dir = deploymentDir(deployment);
        const wasUp = isUp(dir, () => readDeployment(deployment).phase);
        let isClean = true;
        await stopDeployment(deployment, dir, {
          force: flags.force ?? false,
          onLeft: (what) => {
            isClean = false;
            process.stderr.write(`${what}\n`);
          },
          onSuspended: (pid) => process.stderr.write(`its controller (pid ${pid}) does not answer: ending it first\n`),
        });
        if (flags.json) process.stdout.write(`${JSON.stringify({ name: deployment, stopped: true, wasUp })}\n`);
        else
          process.stdout.write(
            wasUp
              ? `${deployment} is stopped; ${isClean ? 'nothing' : 'no process'} is left\n`
              : `${deployment} was not running\n`,
          );
      });
  },
};
