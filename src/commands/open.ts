import type { CommandEntry } from './command.ts';

export const openCommand: CommandEntry = {
  name: 'open',
  summary: 'Print how to reach a deployment: addresses, key, models, and requests to try',
  example: ['dynamo open', 'dynamo open quickstart --json'],
  define(command) {
    command
      .argument('[deployment]', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print it as JSON')
      .action(async (deployment: string | undefined, flags: { json?: boolean }) => {
        const [{ readSnapshot, readDeployment, theOnlyDeployment }, { describeAccess, renderAccess }] =
          await Promise.all([import('../deployment/local-view.ts'), import('./access-text.ts')]);
        const name = deployment ?? theOnlyDeployment();
        const access = describeAccess(await readSnapshot(name), readDeployment(name).plan);
        process.stdout.write(flags.json ? `${JSON.stringify(access, null, 2)}\n` : renderAccess(access));
      });
  },
};
