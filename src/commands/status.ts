import type { CommandEntry } from './command.ts';

export const statusCommand: CommandEntry = {
  name: 'status',
  summary: 'Show what a deployment does: processes, pairs, restarts and their reasons',
  example: ['dynamo status', 'dynamo status quickstart --json'],
  define(command) {
    command
      .argument('[name]', 'name of the deployment (default: the only one that runs)')
      .option('--json', 'print the snapshot as JSON')
      .action(async (name: string | undefined, flags: { json?: boolean }) => {
        const [{ readSnapshot, theOnlyDeployment }, { renderStatus }] = await Promise.all([
          import('../deployment/local-view.ts'),
          import('./status-text.ts'),
        ]);
        const snapshot = await readSnapshot(name ?? theOnlyDeployment());
        process.stdout.write(flags.json ? `${JSON.stringify(snapshot, null, 2)}\n` : renderStatus(snapshot));
      });
  },
};
