import type { CommandEntry } from './command.ts';

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
        const { phase } = readDeployment(deployment);
        const wasUp = phase !== 'stopped' && phase !== 'failed';
        await stopDeployment(deployment, deploymentDir(deployment), {
          force: flags.force ?? false,
          onSuspended: (pid) => process.stderr.write(`its controller (pid ${pid}) does not answer: ending it first\n`),
        });
        if (flags.json) process.stdout.write(`${JSON.stringify({ name: deployment, stopped: true, wasUp })}\n`);
        else
          process.stdout.write(
            wasUp ? `${deployment} is stopped; nothing is left\n` : `${deployment} was not running\n`,
          );
      });
  },
};
